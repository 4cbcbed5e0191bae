import { build } from 'esbuild';

export type BundleOptions = {
  /** `iife` for a classic script or an AudioWorklet module, `esm` for a module script or a module worker. */
  readonly format: 'iife' | 'esm';
  /** Name → JavaScript expression, replaced at build time. Never for values of a session. */
  readonly define?: Readonly<Record<string, string>>;
};

/** Bundles browser code (TypeScript or JavaScript) with everything it imports into one text, in memory. */
export async function bundlePage(entryPath: string, options: BundleOptions): Promise<string> {
  const result = await build({
    entryPoints: [entryPath],
    bundle: true,
    write: false,
    format: options.format,
    platform: 'browser',
    target: 'chrome130',
    sourcemap: false,
    legalComments: 'none',
    logLevel: 'silent',
    define: { ...options.define },
  });
  const [file] = result.outputFiles;
  if (!file) throw new Error(`esbuild gave no output for ${entryPath}`);
  return file.text;
}
