import { maxBufferedBytes } from '../limits.ts';
import { maxMediaBytes, writeMedia, type MediaMessage } from '../media-message.ts';
import type { FromPage } from '../wire.ts';

type Media = MediaMessage['kind'];

/** What the page says to our process: everything through one socket, media only while that takes it. What is left out is counted. */
export class ChannelOut {
  readonly #socket: WebSocket;
  readonly #dropped = new Map<Media, number>();

  constructor(socket: WebSocket) {
    this.#socket = socket;
  }

  send(message: FromPage): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  /** False: it was left out. Pictures go first, so that the sound stays. */
  sendMedia(message: MediaMessage): boolean {
    if (this.#socket.readyState !== WebSocket.OPEN) return false;
    const most = message.kind === 'picture' ? maxBufferedBytes.picture : maxBufferedBytes.sound;
    const bytes = this.#socket.bufferedAmount > most ? undefined : writeMedia(message);
    if (bytes === undefined || bytes.byteLength > maxMediaBytes) {
      this.#dropped.set(message.kind, (this.#dropped.get(message.kind) ?? 0) + 1);
      return false;
    }
    this.#socket.send(bytes);
    return true;
  }

  /** To be called once a second: says what was left out since. */
  tellDropped(): void {
    for (const [media, count] of this.#dropped)
      this.send({ type: 'event', event: { type: 'media-dropped', media, count } });
    this.#dropped.clear();
  }

  close(): void {
    this.#socket.close();
  }
}
