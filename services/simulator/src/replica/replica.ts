import type { Page } from '@tavus-fleet/chromium';
import type { ReplicaPass } from '../daily/rooms.ts';
import type { Replica } from '../ports.ts';
import type { Channel, ReplicaChannels } from './channel.ts';
import { Recording } from './recording.ts';

type Received = { readonly at: string; readonly from: string; readonly data: unknown };

const STOP_TIMEOUT_MS = 2_000;
/** App messages kept, by number and by characters of JSON; echo audio makes them large. */
const MAX_MESSAGES = 20_000;
const MAX_MESSAGE_CHARACTERS = 64 * 1024 * 1024;

/** One replica from our side: its page, its seat in the room, and what it has heard and been told, which outlive the page. */
export class PageReplica implements Replica {
  readonly #pass: ReplicaPass;
  readonly #channel: Channel;
  readonly #recording = new Recording();
  readonly #messages: { received: Received; size: number }[] = [];
  #characters = 0;
  #page: Page | null = null;
  #stopping: Promise<void> | null = null;
  #onStopped: (() => void) | null = null;

  constructor(pass: ReplicaPass, channels: ReplicaChannels) {
    this.#pass = pass;
    this.#channel = channels.open({
      onSound: (pcm) => this.#recording.add(pcm),
      onSilence: (samples) => this.#recording.addSilence(samples),
    });
    pass.onMessage((message) => this.#keep(message.from, message.data));
  }

  get channelToken(): string {
    return this.#channel.token;
  }

  /** The page is ours from now on: `stop` closes it. */
  adopt(page: Page): void {
    this.#page = page;
  }

  onStopped(callback: () => void): void {
    this.#onStopped = callback;
  }

  heard(): Promise<Buffer> {
    return Promise.resolve(this.#recording.wav());
  }

  messages(): readonly Received[] {
    return this.#messages.map(({ received }) => received);
  }

  freezeVideo(on: boolean): void {
    this.#channel.send({ type: 'freeze', on });
  }

  mute(on: boolean): void {
    this.#channel.send({ type: 'mute', on });
  }

  say(data: unknown): void {
    this.#pass.say(data);
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    try {
      // A goodbye lets the last heard block out; a page that is gone or hangs is closed all the same.
      const leave = 'function () { return globalThis.replica.stop(); }';
      await Promise.allSettled([this.#page?.call(leave, [], AbortSignal.timeout(STOP_TIMEOUT_MS), STOP_TIMEOUT_MS)]);
      this.#pass.revoke();
      this.#channel.close();
      await this.#page?.close();
    } finally {
      this.#onStopped?.();
    }
  }

  #keep(from: string, data: unknown): void {
    const size = JSON.stringify(data)?.length ?? 0;
    this.#messages.push({ received: { at: new Date().toISOString(), from, data }, size });
    this.#characters += size;
    while (this.#messages.length > MAX_MESSAGES || this.#characters > MAX_MESSAGE_CHARACTERS)
      this.#characters -= this.#messages.shift()?.size ?? 0;
  }
}
