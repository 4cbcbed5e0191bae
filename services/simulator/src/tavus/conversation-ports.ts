import type { Clock } from '@tavus-fleet/lifecycle';
import type { DailyRooms, ParticipantView, Replicas, RoomError } from '../ports.ts';
import type { SettingsStore } from '../settings.ts';
import type { Persona } from './catalog.ts';
import type { Conversation } from './conversation.ts';
import type { BillingMeter } from './meter.ts';
import type { Recording } from './recordings.ts';
import type { Webhooks } from './webhooks.ts';

export type ConversationSpec = {
  readonly id: string;
  readonly name: string;
  readonly url: string;
  readonly callbackUrl: string;
  readonly replicaId: string;
  readonly persona: Persona;
  readonly audioOnly: boolean;
  readonly maxParticipants: number | undefined;
  /** The three documented timeouts, plan cap already applied. */
  readonly maxCallSeconds: number;
  readonly leftSeconds: number;
  readonly absentSeconds: number;
};

/** One REST call that named this conversation; `epoch` is the number in its `x-fleet-epoch` header. */
export type RecordedCall = { readonly route: string; readonly at: string; readonly epoch: number | string | null };

export type RecordedMessage = { readonly at: string; readonly from: string; readonly data: unknown };

export type PresenceEvent = {
  readonly kind: 'joined' | 'left';
  readonly participant: ParticipantView;
  readonly isReplica: boolean;
};

export type ConversationLog = {
  info(values: Record<string, unknown>, message: string): void;
  warn(values: Record<string, unknown>, message: string): void;
};

export type ConversationPorts = {
  readonly clock: Clock;
  readonly rooms: DailyRooms;
  readonly replicas: Replicas;
  readonly settings: SettingsStore;
  readonly meter: BillingMeter;
  readonly webhooks: Webhooks;
  readonly log: ConversationLog;
  /** True: the replica of this conversation shall never come. */
  readonly neverJoins: (conversation: Conversation) => boolean;
  /** Told after every join, so that a fault that waited for someone to come can strike. */
  readonly joined: (conversation: Conversation, who: 'replica' | 'participant') => void;
  /** What the replica heard and was told, handed over once, when it has gone. */
  readonly recorded: (conversation: Conversation, recording: Recording) => void;
};

/** Why it ended: Tavus' own words where it has some (`shutdown_reason`). */
export type EndCause = { readonly endedBy: string; readonly roomError?: RoomError };
