/**
 * The script that daily-js loads as its call machine. It runs once per call object, so the page's one listener and the
 * table of machines are kept on the window under a symbol, and a later run only adopts the new call object.
 */
import { isRecord, stringOf, type DailyGlobal, type ModuleMessage } from './daily-js.ts';
import { Machine } from './machine.ts';

const HUB = Symbol.for('tavus-fleet.simulator.call-machines');

type Hub = { adopt(): void };
type Page = { _daily?: DailyGlobal; [HUB]?: Hub };

// daily-js makes `_daily` before it loads us; the hub is ours.
const page = globalThis as Page;
page[HUB] ??= createHub();
page[HUB].adopt();

function createHub(): Hub {
  const machines = new Map<string, Machine>();
  window.addEventListener('message', (event: MessageEvent<unknown>) => {
    const message = event.source === window ? moduleMessage(event.data) : null;
    if (!message) return;
    // daily-js forgets a destroyed call object without a word; its machine must not keep a call alive.
    for (const [id, machine] of machines) {
      if (page._daily?.instances[id]) continue;
      machines.delete(id);
      machine.destroyed();
    }
    void machines.get(message.callClientId)?.handle(message);
  });
  return {
    adopt() {
      for (const id of page._daily?.pendings.splice(0) ?? []) {
        const instance = page._daily?.instances[id];
        if (!instance) continue;
        const machine = new Machine(id, () => page._daily?.instances[id]);
        machines.set(id, machine);
        instance.callMachine = machine;
        machine.announce();
      }
    },
  };
}

function moduleMessage(data: unknown): (ModuleMessage & { callClientId: string }) | null {
  if (!isRecord(data) || data['what'] !== 'iframe-call-message' || data['from'] !== 'module') return null;
  const action = stringOf(data['action']);
  const callClientId = stringOf(data['callClientId']);
  const callbackStamp = stringOf(data['callbackStamp']);
  if (action === undefined || callClientId === undefined) return null;
  return { ...data, action, callClientId, ...(callbackStamp === undefined ? {} : { callbackStamp }) };
}
