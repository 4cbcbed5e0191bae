import type { Metrics } from './metrics.ts';

/** What of the whole fleet becomes gauges. Milliseconds. */
export type FleetGauges = {
  readonly waiting: { readonly count: number; readonly oldestMs: number };
  readonly sessions: { readonly starting: number; readonly live: number; readonly stopping: number };
  readonly provider: { readonly refusal?: { readonly why: string } };
  readonly audit?: { readonly unended: number; readonly ageMs: number };
};

/** Gauges that every process of a fleet shows alike: an alert takes their maximum, not their sum. */
export function showFleet(metrics: Metrics, fleet: FleetGauges): void {
  metrics.queueOldest(fleet.waiting.oldestMs / 1_000);
  metrics.conversations('queued', fleet.waiting.count);
  for (const state of ['starting', 'live', 'stopping'] as const) metrics.conversations(state, fleet.sessions[state]);
  metrics.tavusRefuses(fleet.provider.refusal?.why);
  if (!fleet.audit) return; // never made, or a day ago: not the same as none unended
  metrics.tavusUnended(fleet.audit.unended);
  metrics.tavusAuditAge(fleet.audit.ageMs / 1_000);
}
