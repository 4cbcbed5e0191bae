/** What the replica listens to. Follows the persona: `pipecat-stream` → stream, `pipecat0` → echo (observed with Pipecat). */
export type Hearing = 'stream' | 'echo';

/** Who a replica is, where it goes and how it behaves. Plain data: it travels into the replica's page. */
export type ReplicaOptions = {
  readonly conversationId: string;
  readonly room: string;
  readonly userId: string;
  readonly userName: string;
  readonly hearing: Hearing;
  readonly width: number;
  readonly height: number;
  readonly fps: number;
  /** From hearing a sound to playing it back, milliseconds. */
  readonly delayMs: number;
  /** Which `stream` track is heard when two are there. */
  readonly streamPolicy: 'first' | 'latest' | 'mix';
  readonly audioOnly: boolean;
};
