import type { ChildProcess } from 'node:child_process';

/** Bench → consumer. */
export type ToConsumer =
  | {
      readonly type: 'start';
      readonly side: 'bare' | 'worker';
      readonly url: string;
      readonly prefix: string;
      readonly conversations: number;
    }
  | { readonly type: 'reset' }
  | { readonly type: 'collect' };

/** Consumer → bench. */
export type FromConsumer = { readonly type: 'ready' } | { readonly type: 'round'; readonly round: Round };

/** Latencies are microseconds; CPU is of the consumer's process per entry, microseconds. */
export type Round = {
  readonly count: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly maxUs: number;
  readonly cpuPerEntryUs: number;
};

/** Consumer → pages. */
export type ToPages = { readonly url: string; readonly token: string; readonly conversationId: string };
/** Pages → consumer. */
export type FromPages = { readonly opened: string };

/** The next message of a child; rejects when it ends instead. */
export function nextMessage(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const ended = (code: number | null): void => reject(new Error(`A process of the benchmark ended early (${code}).`));
    child.once('exit', ended);
    child.once('message', (message) => {
      child.off('exit', ended);
      resolve(message);
    });
  });
}
