import type { FaultSubject, Faults } from '../faults.ts';
import { tavusErrors } from './errors.ts';

/** Throws the armed answer, if there is one: each create uses up at most one. */
export function refuseCreate(faults: Faults, subject: FaultSubject): void {
  if (faults.take('create-401', subject)) throw tavusErrors.accessToken();
  const tooMany = faults.take('create-429', subject);
  if (tooMany) throw tavusErrors.tooMany(tooMany.retryAfterSeconds ?? 1);
  const server = faults.take('create-500', subject);
  if (server) throw tavusErrors.server(server.status ?? 500);
  if (faults.take('create-402', subject) ?? faults.take('minutes-run-out', subject)) throw tavusErrors.credits();
  if (faults.take('create-400-concurrency', subject)) throw tavusErrors.concurrency();
}

/** The name a create request bears, read before it is judged, so that a fault can be meant for one client. */
export function nameIn(body: unknown): string {
  if (typeof body !== 'object' || body === null || !('conversation_name' in body)) return '';
  return typeof body.conversation_name === 'string' ? body.conversation_name : '';
}
