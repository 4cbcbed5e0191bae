import { systemClock, withDeadline, type Clock } from '@tavus-fleet/lifecycle';
import { Faults } from '../faults.ts';
import type { DailyRooms, Replicas } from '../ports.ts';
import { SettingsStore, type SimSettings } from '../settings.ts';
import { RoomFaults } from './room-faults.ts';
import { Catalog } from '../tavus/catalog.ts';
import type { ConversationLog } from '../tavus/conversation-ports.ts';
import { Conversations } from '../tavus/conversations.ts';
import { BillingMeter } from '../tavus/meter.ts';
import { Webhooks } from '../tavus/webhooks.ts';

/** Short, since a callback that hangs must not keep the process from stopping. */
const LAST_WEBHOOKS_MS = 1_000;

/** Puts Tavus' side together on top of rooms and replicas, which stay their creator's. The result is what `buildApp` takes. */
export function createSimulator(ports: {
  rooms: DailyRooms;
  replicas: Replicas;
  log: ConversationLog;
  clock?: Clock;
  settings?: Partial<SimSettings>;
}) {
  const { rooms, replicas, log, clock = systemClock } = ports;
  const settings = new SettingsStore(ports.settings);
  const faults = new Faults();
  const meter = new BillingMeter();
  const catalog = new Catalog(clock);
  const webhooks = new Webhooks({ take: (fault, subject) => faults.take(fault, subject), log });
  const conversations = new Conversations({ clock, rooms, replicas, settings, meter, webhooks, log, catalog, faults });
  const roomFaults = new RoomFaults({ faults, rooms, conversations, settings });
  rooms.setLinger(settings.current.ghostLingerMs);
  return {
    clock,
    rooms,
    settings,
    faults,
    meter,
    catalog,
    webhooks,
    conversations,
    roomFaults,
    /** Ends every conversation, gives the last webhooks a moment, then gives up on them. May be called twice. */
    async close(): Promise<void> {
      await conversations.close();
      await withDeadline({ ms: LAST_WEBHOOKS_MS, what: 'sending the last webhooks' }, () => webhooks.flushed()).catch(
        (cause: unknown) => log.warn({ reason: String(cause) }, 'webhooks given up'),
      );
      await webhooks.close();
    },
  };
}
