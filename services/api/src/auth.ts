import { createHash, timingSafeEqual } from 'node:crypto';
import { BY_QUEUE, FleetError, type ConversationRecord } from '@tavus-fleet/contracts';
import type { ApiKey, Secret } from '@tavus-fleet/config';
import type { onRequestAsyncHookHandler } from 'fastify';

declare module 'fastify' {
  interface FastifyRequest {
    /** Name of the API key that the request came with; empty on public routes. */
    caller: string;
    /** Whose conversations it may see and control: values of `createdBy`. */
    owns: readonly string[];
  }
}

/**
 * Lets a request in that carries `Authorization: Bearer <key>`. Keys are known by their SHA-256 only; all of them are compared,
 * each in constant time, so that the answer's timing tells nothing about which came close.
 *
 * What was enqueued straight in Redis carries no key. Where all keys have one name it belongs to that one; where there are
 * several nobody can say to whom, and it is reached through Redis only.
 */
export function authenticate(keys: Secret<readonly ApiKey[]>): onRequestAsyncHookHandler {
  const known = keys.reveal().map(({ name, sha256 }) => ({ name, hash: Buffer.from(sha256, 'hex') }));
  const alone = new Set(known.map(({ name }) => name)).size === 1;
  return async (request) => {
    const presented = /^Bearer ([\x21-\x7e]{1,512})$/i.exec(request.headers.authorization ?? '')?.[1];
    const hash = createHash('sha256')
      .update(presented ?? '')
      .digest();
    let caller: string | undefined;
    for (const key of known) if (timingSafeEqual(key.hash, hash)) caller = key.name;
    if (presented === undefined) throw new FleetError('unauthorized', 'Send `Authorization: Bearer <key>`.');
    if (caller === undefined) throw new FleetError('unauthorized', 'This key is not among API_KEYS.');
    request.caller = caller;
    request.owns = alone ? [caller, BY_QUEUE] : [caller];
  };
}

/** The record if it belongs to the caller; another key's is as unknown as one that never was (a 403 would tell that the id exists). */
export function ownRecord(record: ConversationRecord | undefined, owns: readonly string[]): ConversationRecord {
  if (!record || !owns.includes(record.createdBy)) throw new FleetError('not-found', 'There is no such conversation.');
  return record;
}
