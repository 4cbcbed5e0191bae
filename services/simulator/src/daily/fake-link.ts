import type { ServerMessage } from './protocol.ts';
import type { Link } from './room.ts';

/** A page's connection that only remembers; for tests of rooms. */
export class FakeLink implements Link {
  readonly sent: ServerMessage[] = [];
  ended: 'cut' | 'hung up' | null = null;

  send(message: ServerMessage): void {
    this.sent.push(message);
  }
  cut(): void {
    this.ended = 'cut';
  }
  hangUp(): void {
    this.ended = 'hung up';
  }

  /** The messages of one type, oldest first. */
  of<T extends ServerMessage['type']>(type: T): Extract<ServerMessage, { type: T }>[] {
    return this.sent.filter((message): message is Extract<ServerMessage, { type: T }> => message.type === type);
  }
}
