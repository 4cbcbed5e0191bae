/** The shape of `process.env`, which only libs/config reads: callers hand it in. */
export type Environment = Readonly<Record<string, string | undefined>>;

const kept =
  /^(PATH|LANG|LANGUAGE|LC_[A-Z]+|TZ|TMPDIR|LD_LIBRARY_PATH|FONTCONFIG_PATH|FONTCONFIG_FILE|SSL_CERT_FILE|SSL_CERT_DIR|https?_proxy|no_proxy|HTTPS?_PROXY|NO_PROXY)$/;

/**
 * What a browser may see of our environment. An allow-list, because the page runs code from a vendor's CDN and a taken-over
 * renderer can read /proc/self/environ: keys of Tavus or Redis must not stand there.
 */
export function childEnvironment(env: Environment): Record<string, string> {
  const result: Record<string, string> = { PATH: '/usr/local/bin:/usr/bin:/bin' };
  for (const [name, value] of Object.entries(env)) if (value !== undefined && kept.test(name)) result[name] = value;
  return result;
}
