import { findChromium } from '@tavus-fleet/chromium';

/** Unpacks the browser once, before several processes would each try to. Silent where one is installed or unpacked. */
export async function ensureChromium(): Promise<void> {
  const started = performance.now();
  const { executablePath } = await findChromium({ executablePath: process.env['CHROMIUM_PATH'], env: process.env });
  const tookMs = performance.now() - started;
  // The library does not tell whether it had to unpack; a mere look takes milliseconds.
  if (tookMs > 1000) process.stderr.write(`setup: Chromium in ${executablePath} (${(tookMs / 1000).toFixed(1)} s)\n`);
}
