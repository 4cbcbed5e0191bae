import type { ReplicaOptions } from '../replica-options.ts';

/** What the replica's page is started with; the type both sides share. */
export type ReplicaPageOptions = ReplicaOptions & {
  /** Meeting URL of the room. */
  readonly url: string;
  /** Lets the page join as the replica. */
  readonly replicaKey: string;
  /** First message on the page's own socket. */
  readonly channelToken: string;
};
