import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { bundlePage, Chromium, type Page } from '@tavus-fleet/chromium';
import { z } from 'zod';

const Report = z.object({
  pcm: z.base64(),
  blocks: z.array(z.object({ startMs: z.number(), samples: z.int() })),
  seen: z.array(
    z.object({
      atMs: z.number(),
      clockMs: z.number(),
      frame: z.int(),
      mouth: z.number(),
      width: z.int(),
      height: z.int(),
    }),
  ),
  unreadable: z.int(),
  doubledMs: z.number(),
  resources: z.array(z.string()),
});
const Counts = z.object({ pictures: z.int(), unreadable: z.int(), samples: z.int(), participants: z.int() });

const ReadPictures = z.array(
  z.object({
    pts: z.number(),
    width: z.int(),
    height: z.int(),
    reading: z.object({ timeMs: z.number(), frame: z.int(), mouth: z.number() }).nullable(),
  }),
);
/** A picture of an output stream after decoding; `reading`: the clock in it, null when none could be read. */
export type ReadPicture = z.infer<typeof ReadPictures>[number];
/** A picture as an output stream holds it. */
export type StreamPicture = {
  readonly format: string;
  readonly width: number;
  readonly height: number;
  readonly pts: number;
  readonly key: boolean;
  readonly frame: Uint8Array;
};

export type Picture = z.infer<typeof Report>['seen'][number];
/** What one user got, from joining until asked. `heard` is mono at 24 kHz; `heardAt(sample)` is when that sample arrived, ms since 1970. */
export type ListenerReport = {
  readonly heard: Int16Array;
  readonly pictures: readonly Picture[];
  readonly unreadable: number;
  /** For so long two tracks sounded at once, ms: an echo. */
  readonly doubledMs: number;
  readonly resources: readonly string[];
  heardAt(sample: number): number;
  sampleAt(ms: number): number;
};

/** A browser of its own for users in rooms: one page each, on an origin of its own. */
export class Listeners implements AsyncDisposable {
  readonly #browser: Chromium;
  readonly #server: Server;
  readonly #origin: string;

  private constructor(browser: Chromium, server: Server, origin: string) {
    this.#browser = browser;
    this.#server = server;
    this.#origin = origin;
  }

  static async start(
    options: { env: Readonly<Record<string, string | undefined>>; extraArgs?: readonly string[] },
    signal: AbortSignal,
  ): Promise<Listeners> {
    const script = await bundlePage(fileURLToPath(new URL('./page/listener.ts', import.meta.url)), { format: 'iife' });
    const server = createServer((request, response) => {
      const isScript = request.url === '/listener.js';
      response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html; charset=utf-8');
      response.end(
        isScript
          ? script
          : '<!doctype html><meta charset="utf-8"><title>listener</title><script src="/listener.js"></script>',
      );
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (typeof address !== 'object' || address === null) throw new Error('The system gave no port.');
    const path = options.env['CHROMIUM_PATH'];
    const browser = await Chromium.launch(
      {
        env: options.env,
        ...(path ? { executablePath: path } : {}),
        ...(options.extraArgs ? { extraArgs: options.extraArgs } : {}),
      },
      signal,
    );
    return new Listeners(browser, server, `http://127.0.0.1:${address.port}`);
  }

  /** Joins a room as a user; resolves when joined. `bundle` is the folder of the call machine; `gives`: with a voice and a picture. */
  async join(
    room: { url: string; userName?: string; bundle: string; gives?: boolean },
    signal: AbortSignal,
  ): Promise<Listener> {
    const page = await this.#browser.openPage(`${this.#origin}/`, signal);
    const id = await page.call(
      '(options) => globalThis.listener.join(options)',
      [{ userName: 'Guest', ...room }],
      signal,
    );
    return new Listener(page, z.string().parse(id));
  }

  /** Decodes pictures of one format out of an output stream, in their order, and reads the clock in each. Rejects when one cannot be decoded. */
  async read(pictures: readonly StreamPicture[], signal: AbortSignal): Promise<ReadPicture[]> {
    const page = await this.#browser.openPage(`${this.#origin}/`, signal);
    const given = pictures.map(({ frame, ...rest }) => ({ ...rest, frame: Buffer.from(frame).toString('base64') }));
    try {
      return ReadPictures.parse(await page.call('(given) => globalThis.listener.read(given)', [given], signal));
    } finally {
      await page.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#browser.close();
    this.#server.close();
  }
}

export class Listener {
  /** As what others in the room see this user. */
  readonly participantId: string;
  readonly #page: Page;

  constructor(page: Page, participantId: string) {
    this.#page = page;
    this.participantId = participantId;
  }

  /** Says mono 24 kHz samples, from now on; answers when it began, ms since 1970. Only for who joined with `gives`. */
  async say(samples: Int16Array, signal: AbortSignal): Promise<number> {
    const pcm = Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength).toString('base64');
    return z.number().parse(await this.#page.call('(pcm) => globalThis.listener.say(pcm)', [pcm], signal));
  }

  async counts(signal: AbortSignal): Promise<z.infer<typeof Counts>> {
    return Counts.parse(await this.#page.call('() => globalThis.listener.counts()', [], signal));
  }

  /** What was heard and seen so far is not kept any more; it keeps two minutes and a half. */
  async forget(signal: AbortSignal): Promise<void> {
    await this.#page.call('() => globalThis.listener.forget()', [], signal);
  }

  async report(signal: AbortSignal): Promise<ListenerReport> {
    const report = Report.parse(await this.#page.call('() => globalThis.listener.report()', [], signal));
    const bytes = Buffer.from(report.pcm, 'base64');
    const heard = new Int16Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
    const starts = cumulative(report.blocks);
    return {
      heard,
      pictures: report.seen,
      unreadable: report.unreadable,
      doubledMs: report.doubledMs,
      resources: report.resources,
      heardAt: (sample) => timeOf(starts, sample),
      sampleAt: (ms) => sampleOf(starts, ms),
    };
  }

  async leave(signal: AbortSignal): Promise<void> {
    await this.#page.call('async () => { await globalThis.listener.leave(); }', [], signal);
    await this.#page.close();
  }
}

type Start = { readonly ms: number; readonly sample: number };

function cumulative(blocks: readonly { startMs: number; samples: number }[]): Start[] {
  let sample = 0;
  return blocks.map((block) => {
    const start = { ms: block.startMs, sample };
    sample += block.samples;
    return start;
  });
}

function timeOf(starts: readonly Start[], sample: number): number {
  const block = starts.findLast((start) => start.sample <= sample) ?? starts[0];
  return block ? block.ms + ((sample - block.sample) * 1000) / 24_000 : Number.NaN;
}

function sampleOf(starts: readonly Start[], ms: number): number {
  const block = starts.findLast((start) => start.ms <= ms) ?? starts[0];
  return block ? block.sample + Math.max(0, Math.round(((ms - block.ms) * 24_000) / 1000)) : 0;
}
