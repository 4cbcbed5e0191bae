/** Everything that lives in Redis: connections, key names, the scripts that keep the promises, streams, queues. */
export { isRedisDown, redisCall } from './call.ts';
export { ClusterStreamReader } from './cluster-stream-reader.ts';
export { connectRedis, ensureConnected, type RedisConnection, type RedisRole } from './connect.ts';
export { compareIds, readEntries, type StreamEntry } from './entries.ts';
export { EventLog, parseEvent, type EventPage } from './events.ts';
export { fleetFigures, type FleetFigures } from './fleet-view.ts';
export { acceptedOf, addFrame, addNumberedFrame } from './frames-out.ts';
export { handOverSteps, type HandOverStep } from './hand-over-steps.ts';
export { HandOvers, type Claim, type Offer } from './hand-overs.ts';
export { everyMaster, ping, RedisHealth, serverInfo, type Pingable, type ServerInfo } from './health.ts';
export { Idempotency, type IdempotencyClaim } from './idempotency.ts';
export { Janitor } from './janitor.ts';
export { createKeys, type FleetKeys, type Keys } from './keys.ts';
export { LeaseKeeper, RENEW_EVERY_MS, type HeldLease, type LeaseListener, type LeaseRenewals } from './lease-keeper.ts';
export { LEASE_TTL_MS, Leases, newNonce, type Acquired, type Owned, type Predecessor, type Renewal } from './leases.ts';
export { Ledger, type LedgerIntent, type LedgerRow, type OwnRow } from './ledger.ts';
export { silentLog, type Log } from './log.ts';
export { providerState, ProviderSlots, type ProviderState, type Refusal } from './provider-slots.ts';
export { Queued, type QueuePlace } from './queued.ts';
export { mediaOut } from './media-out.ts';
export { queueConnection, queueErrors, Queues, type EnqueueOptions } from './queues.ts';
export { WebhookOutbox, type DueConversation } from './outbox.ts';
export { type RecordPatch } from './record-codec.ts';
export {
  Records,
  type DesireOutcome,
  type MoveOutcome,
  type RecordPage,
  type SettingsOutcome,
  type StoredSecrets,
} from './records.ts';
export { ReaperNotes, type Audit } from './reaper-notes.ts';
export { RecordCopies } from './record-copies.ts';
export { redisTime } from './redis-time.ts';
export { mergeSettings } from './settings.ts';
export { StreamReader, type OnEntries, type StreamReaderOptions, type StreamSource } from './stream-reader.ts';
export { TavusNotices, type NoticeOutcome, type TavusNotice } from './tavus-callbacks.ts';
export { parseTavusName, tavusName, type TavusName } from './tavus-name.ts';
export { Turns } from './turns.ts';
export { WorkerHeartbeat, WorkerRegistry } from './workers.ts';
export { whereabouts, type Whereabouts } from './whereabouts.ts';
