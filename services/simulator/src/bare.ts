import { buildApp } from './app.ts';
import type { FaultRequest } from './faults.ts';
import type { SimSettings } from './settings.ts';
import { FakeReplicas, FakeRooms } from './sim/fakes.ts';
import { portOf } from './sim/port-of.ts';
import { createSimulator } from './sim/simulator.ts';
import { stateBody } from './sim/state.ts';

export type BareState = ReturnType<typeof stateBody>;

/**
 * Tavus' side alone, in this process: REST, faults, timers and bill on rooms that nobody can enter. For tests of whole fleets
 * by the thousand, where a browser for each would be all there is to wait for. Conversations end by the absent timeout.
 */
export class BareSimulator implements AsyncDisposable {
  readonly url: string;
  readonly #simulator: ReturnType<typeof createSimulator>;
  readonly #app: ReturnType<typeof buildApp>;

  private constructor(parts: {
    url: string;
    simulator: ReturnType<typeof createSimulator>;
    app: ReturnType<typeof buildApp>;
  }) {
    this.url = parts.url;
    this.#simulator = parts.simulator;
    this.#app = parts.app;
  }

  static async start(settings: Partial<SimSettings> = {}): Promise<BareSimulator> {
    const rooms = new FakeRooms();
    const simulator = createSimulator({
      rooms,
      replicas: new FakeReplicas(rooms),
      log: { info: () => undefined, warn: () => undefined },
      settings: { createLatencyMs: 0, replicaJoinDelayMs: 0, ...settings },
    });
    const app = buildApp(simulator);
    await app.listen({ host: '127.0.0.1', port: 0 });
    return new BareSimulator({ url: `http://127.0.0.1:${portOf(app.server)}`, simulator, app });
  }

  /** As GET /sim/state shows it. */
  state(): BareState {
    const { conversations, rooms, meter, clock } = this.#simulator;
    return stateBody({ conversations, rooms, meter, nowMs: clock.now() });
  }

  /** Ids of conversations that are being paid for. */
  get unended(): readonly string[] {
    return this.#simulator.meter.read(this.#simulator.clock.now()).unended;
  }

  change(settings: Partial<SimSettings>): void {
    this.#simulator.settings.change(settings);
  }

  fault(request: FaultRequest): void {
    this.#simulator.roomFaults.arm(request);
  }

  heal(): void {
    this.#simulator.roomFaults.clear();
  }

  /** Ends every conversation. May be called twice. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#simulator.close();
    await this.#app.close();
  }
}
