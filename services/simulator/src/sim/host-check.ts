/**
 * True when the Host header is this machine with the port it was reached on, or one of `allowed` as it stands there. Whatever else
 * resolves to 127.0.0.1 is a stranger's name (DNS rebinding), and a page of that stranger would drive the simulator. `port`
 * undefined: not reached through a socket (injected by a test), any port will do.
 */
export function isOwnHost(
  host: string | undefined,
  port: number | undefined,
  allowed: readonly string[] = [],
): boolean {
  if (host !== undefined && allowed.includes(host.toLowerCase())) return true;
  const match = /^(127\.0\.0\.1|localhost|\[::1\])(?::(\d{1,5}))?$/i.exec(host ?? '');
  if (match === null) return false;
  // Without a port the client means HTTP's own.
  return port === undefined || Number(match[2] ?? 80) === port;
}
