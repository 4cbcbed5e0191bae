import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { asFleetError, FleetError } from '@tavus-fleet/contracts';
import { Rounds, type Clock } from '@tavus-fleet/lifecycle';
import { Agent, request } from 'undici';

const ANNOTATION = 'controller.kubernetes.io/pod-deletion-cost';
/** Where Kubernetes mounts a pod's service account, and how every pod reaches the API server; both are documented and fixed. */
const ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';
const SERVER = 'https://kubernetes.default.svc';
/** Kubernetes asks for few updates of this; a hand-over takes seconds, and costs nobody a call if the wrong worker goes. */
const EVERY_MS = 10_000;
const PATCH_MS = 5_000;

export type PodDeletionCostOptions = {
  readonly pod: string;
  readonly sessions: () => number;
  readonly clock: Clock;
  readonly log: { warn(fields: object, message: string): void };
  /** For tests; the defaults are the pod's own. */
  readonly account?: string;
  readonly server?: string;
};

/**
 * Tells Kubernetes what deleting this worker would cost: the number of its sessions, when it has changed. A ReplicaSet that is scaled in
 * deletes the cheapest pods first. Nothing depends on it, so a failure is a line in the log, once, until it works again.
 */
export class PodDeletionCost {
  readonly #options: PodDeletionCostOptions;
  readonly #account: string;
  readonly #life = new AbortController();
  readonly #rounds: Rounds;
  #agent: Agent | undefined;
  #told: number | undefined;
  #isFailing = false;

  constructor(options: PodDeletionCostOptions) {
    this.#options = options;
    this.#account = options.account ?? ACCOUNT;
    const onError = (error: unknown): void => {
      if (!this.#isFailing && !this.#life.signal.aborted)
        options.log.warn(
          { code: asFleetError(error).code, err: error },
          'Kubernetes was not told the cost of this pod',
        );
      this.#isFailing = true;
    };
    this.#rounds = new Rounds(() => this.#tell(), { everyMs: EVERY_MS, clock: options.clock, onError });
  }

  start(): void {
    this.#rounds.start();
  }

  /** Tells it now, if it has changed. Never rejects. */
  now(): Promise<void> {
    return this.#rounds.now();
  }

  /** May be called twice, and without a start. */
  async close(): Promise<void> {
    this.#life.abort();
    await this.#rounds.close();
    await this.#agent?.destroy();
  }

  async #tell(): Promise<void> {
    const cost = this.#options.sessions();
    if (cost === this.#told) return;
    // The token is exchanged while we run; the authority is not.
    const [token, namespace] = await Promise.all([this.#read('token'), this.#read('namespace')]);
    this.#agent ??= new Agent({ connect: { ca: await this.#read('ca.crt') } });
    const url = new URL(
      `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(this.#options.pod)}`,
      this.#options.server ?? SERVER,
    );
    const { statusCode, body } = await request(url, {
      method: 'PATCH',
      dispatcher: this.#agent,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/merge-patch+json' },
      body: JSON.stringify({ metadata: { annotations: { [ANNOTATION]: String(cost) } } }),
      signal: AbortSignal.any([this.#life.signal, AbortSignal.timeout(PATCH_MS)]),
    });
    await body.dump();
    if (statusCode !== 200)
      throw new FleetError('internal', `Kubernetes answered ${statusCode} to a patch of this worker's pod.`);
    this.#told = cost;
    this.#isFailing = false;
  }

  async #read(name: string): Promise<string> {
    return (await readFile(join(this.#account, name), 'utf8')).trim();
  }
}
