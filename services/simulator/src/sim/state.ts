import type { DailyRooms } from '../ports.ts';
import type { Conversations } from '../tavus/conversations.ts';
import type { BillingMeter } from '../tavus/meter.ts';
import { isoTime } from '../tavus/time.ts';

/** What GET /sim/state shows: the whole world at one moment, deleted conversations included. */
export function stateBody(deps: {
  conversations: Conversations;
  rooms: DailyRooms;
  meter: BillingMeter;
  nowMs: number;
}) {
  return {
    conversations: deps.conversations.all().map((conversation) => ({
      id: conversation.spec.id,
      name: conversation.spec.name,
      status: conversation.status,
      createdAt: isoTime(conversation.createdAtMs),
      endedAt: conversation.ended === undefined ? null : isoTime(conversation.ended.atMs),
      endedBy: conversation.ended?.by ?? null,
      calls: conversation.calls,
    })),
    rooms: deps.rooms.rooms().map((room) => ({
      name: room.name,
      participants: room.participants.map(({ sessionId, userName, userData, tracks }) => ({
        sessionId,
        userName,
        userData,
        tracks,
      })),
    })),
    billing: deps.meter.read(deps.nowMs),
  };
}
