import { Chromium } from '@tavus-fleet/chromium';
import { asFleetError } from '@tavus-fleet/contracts';
import { fleetFigures, ping, redisCall, serverInfo } from '@tavus-fleet/redis';
import { exitCodes } from '../exit-codes.ts';
import type { Fleet } from '../fleet.ts';
import { say, span, table, type Output } from '../output.ts';

export type DoctorOptions = {
  /** What Chromium may inherit of. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** False leaves the browser out: api hosts need none. */
  readonly browser: boolean;
};
type Finding = { readonly check: string; readonly status: 'ok' | 'warn' | 'fail'; readonly detail: string };
type Check = { readonly check: string; readonly look: () => Promise<Omit<Finding, 'check'>> };

const ok = (detail: string): Omit<Finding, 'check'> => ({ status: 'ok', detail });
const warn = (detail: string): Omit<Finding, 'check'> => ({ status: 'warn', detail });
const fail = (detail: string): Omit<Finding, 'check'> => ({ status: 'fail', detail });

const TAVUS_MS = 15_000;
const CHROMIUM_MS = 30_000;
/** Our decisions go by Redis' clock; a host that is further off writes logs that do not fit together. */
const SKEW_MS = 2_000;

/** Looks at everything that a fleet needs and says what is wrong. Exits 1 when something is. */
export async function doctor(fleet: Fleet, options: DoctorOptions, output: Output): Promise<number> {
  const findings: Finding[] = [];
  for (const { check, look } of checks(fleet, options)) {
    try {
      findings.push({ check, ...(await look()) });
    } catch (thrown) {
      const error = asFleetError(thrown);
      findings.push({
        check,
        ...fail(error.code === 'internal' && error.cause instanceof Error ? error.cause.message : error.message),
      });
    }
  }
  const healthy = !findings.some(({ status }) => status === 'fail');
  say(output, { healthy, findings }, () =>
    table(
      ['check', 'status', 'detail'],
      findings.map(({ check, status, detail }) => [check, status, detail]),
    ),
  );
  return healthy ? exitCodes.done : exitCodes.no;
}

function checks(fleet: Fleet, options: DoctorOptions): Check[] {
  return [
    { check: 'redis', look: () => redisAnswers(fleet) },
    { check: 'redis version', look: () => redisVersion(fleet) },
    { check: 'redis maxmemory-policy', look: () => redisPolicy(fleet) },
    { check: 'redis persistence', look: () => redisPersistence(fleet) },
    { check: 'clock', look: () => clockSkew(fleet) },
    { check: 'api keys', look: async () => apiKeys(fleet) },
    { check: 'fleet id', look: async () => fleetId(fleet) },
    { check: 'tavus', look: () => tavusAnswers(fleet) },
    ...(options.browser ? [{ check: 'chromium', look: () => chromiumStarts(fleet, options.env) }] : []),
    { check: 'workers', look: () => workersAlive(fleet) },
    { check: 'queue', look: () => queueMoves(fleet) },
    { check: 'audit', look: () => auditClean(fleet) },
  ];
}

async function redisAnswers(fleet: Fleet): Promise<Omit<Finding, 'check'>> {
  const ms = await ping(fleet.redis);
  return ms < 100
    ? ok(`answers in ${ms.toFixed(1)} ms`)
    : warn(`answers in ${Math.round(ms)} ms: far away or overloaded`);
}

async function redisVersion(fleet: Fleet): Promise<Omit<Finding, 'check'>> {
  const { version } = await serverInfo(fleet.redis);
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > 6 || (major === 6 && minor >= 2) ? ok(version) : fail(`${version}: 6.2 or newer is needed`);
}

async function redisPolicy(fleet: Fleet): Promise<Omit<Finding, 'check'>> {
  const { maxmemoryPolicy: policy } = await serverInfo(fleet.redis);
  if (policy === '') return warn('not told by this server');
  return policy === 'noeviction'
    ? ok(policy)
    : fail(`${policy}: under pressure records and leases would be thrown away; set noeviction`);
}

async function redisPersistence(fleet: Fleet): Promise<Omit<Finding, 'check'>> {
  const info = await redisCall(() => fleet.redis.info());
  if (/^aof_enabled:1/m.test(info)) return ok('appendonly');
  const { replicas } = await serverInfo(fleet.redis);
  return warn(
    `appendonly is off${replicas > 0 ? ` (${replicas} replicas)` : ''}: a restart forgets what came after the last snapshot`,
  );
}

async function clockSkew(fleet: Fleet): Promise<Omit<Finding, 'check'>> {
  const before = Date.now();
  const [seconds, micros] = await redisCall(() => fleet.redis.time());
  const half = (Date.now() - before) / 2;
  const skew = Math.round(before + half - (Number(seconds) * 1_000 + Number(micros) / 1_000));
  return Math.abs(skew) <= SKEW_MS
    ? ok(`${skew} ms from Redis`)
    : warn(`${skew} ms from Redis: keep hosts in time (NTP)`);
}

function apiKeys(fleet: Fleet): Omit<Finding, 'check'> {
  const keys = fleet.config.keys.reveal();
  const names = new Set(keys.map(({ name }) => name));
  return keys.length === 0
    ? warn('API_KEYS is empty here: an api with this environment lets nobody in')
    : ok(`${keys.length} of ${names.size} backends`);
}

function fleetId(fleet: Fleet): Omit<Finding, 'check'> {
  const id = fleet.config.fleetId;
  return id === undefined ? fail('FLEET_ID is not set: api and worker will not start') : ok(id);
}

async function tavusAnswers(fleet: Fleet): Promise<Omit<Finding, 'check'>> {
  const { tavus, config } = fleet;
  if (!tavus) return fail('TAVUS_API_KEY is not set');
  const begun = Date.now();
  await tavus.listConversations({ status: 'active', limit: 1 }, { signal: AbortSignal.timeout(TAVUS_MS) });
  return ok(`${new URL(config.tavus.baseUrl).host} takes the key, ${Date.now() - begun} ms`);
}

async function chromiumStarts(fleet: Fleet, env: DoctorOptions['env']): Promise<Omit<Finding, 'check'>> {
  const { path, sandbox } = fleet.config.chromium;
  const begun = Date.now();
  const notes: string[] = [];
  const browser = await Chromium.launch(
    { env, sandbox, executablePath: path, log: (line) => notes.push(line) },
    AbortSignal.timeout(CHROMIUM_MS),
  );
  const ms = Date.now() - begun;
  await browser.close();
  return notes.length === 0 ? ok(`starts in ${span(ms)}`) : warn(`starts in ${span(ms)}; ${notes.join('; ')}`);
}

async function workersAlive(fleet: Fleet): Promise<Omit<Finding, 'check'>> {
  const workers = await fleet.workers.list();
  const capacity = workers.reduce((sum, worker) => sum + worker.capacity, 0);
  return workers.length === 0 ? warn('none alive') : ok(`${workers.length} alive, ${capacity} slots`);
}

async function queueMoves(fleet: Fleet): Promise<Omit<Finding, 'check'>> {
  const { waiting, provider } = await fleetFigures(fleet.redis, fleet.keys);
  if (provider.refusal) {
    const text = `Tavus refuses (${provider.refusal.why}): nothing is claimed, ${waiting.count} wait`;
    return provider.refusal.why === 'capacity' ? warn(text) : fail(text);
  }
  const text = `${waiting.count} wait, the oldest for ${span(waiting.oldestMs)}`;
  return waiting.oldestMs > 30_000 ? warn(text) : ok(text);
}

async function auditClean(fleet: Fleet): Promise<Omit<Finding, 'check'>> {
  const { audit } = await fleetFigures(fleet.redis, fleet.keys);
  if (!audit) return warn('the reaper has not looked within a day');
  const text = `${audit.unended} unended of ${audit.active} active at Tavus, ${span(audit.ageMs)} ago`;
  if (audit.ageMs > 300_000) return warn(`${text}: Tavus' list cannot be read, or no worker is up`);
  return audit.unended === 0 ? ok(text) : warn(text);
}
