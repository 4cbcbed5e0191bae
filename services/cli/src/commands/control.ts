import { ConversationId } from '@tavus-fleet/contracts';
import { exitCodes } from '../exit-codes.ts';
import type { Fleet } from '../fleet.ts';
import { say, type Output } from '../output.ts';

const meanings = {
  accepted: 'asked; its owner obeys',
  final: 'ended: nobody had owned it',
  already: 'was asked before, or cancel was',
  over: 'is over already, without having been asked',
  absent: 'no such conversation',
} as const;

/** Asks for the end as the api does: asking again is asking once, cancel beats stop. */
export async function end(
  fleet: Fleet,
  id: string,
  verb: 'stop' | 'cancel',
  reason: string,
  output: Output,
): Promise<number> {
  const outcome = ConversationId.safeParse(id).success ? await fleet.records.desire(id, verb, reason) : 'absent';
  say(output, { conversationId: id, verb, outcome }, () => `${id}: ${meanings[outcome]}\n`);
  return outcome === 'over' || outcome === 'absent' ? exitCodes.no : exitCodes.done;
}

/** Lets a worker take no more and finish or hand over what it has. There is no way back. */
export async function drain(fleet: Fleet, workerId: string, output: Output): Promise<number> {
  const outcome = await fleet.workers.requestDrain(workerId);
  say(output, { workerId, outcome }, () =>
    outcome === 'requested'
      ? `${workerId}: drains within a second\n`
      : `no worker ${workerId} was seen within an hour\n`,
  );
  return outcome === 'requested' ? exitCodes.done : exitCodes.no;
}
