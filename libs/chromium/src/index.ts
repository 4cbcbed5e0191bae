export { bundlePage, type BundleOptions } from './bundle.ts';
export { Chromium, type LaunchOptions } from './browser.ts';
export type { BrowserProcess } from './memory.ts';
export { processTreeCpuSeconds } from './cpu.ts';
export { findChromium, type FindOptions, type FoundChromium } from './find.ts';
export { Page, type JsonValue, type OpenPageOptions, type PageGone } from './page.ts';
export { processTreeMemoryBytes } from './memory.ts';
