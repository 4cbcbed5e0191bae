import type { Participant } from '@tavus-fleet/rooms';

// Observed in deployed integrations: the replica's user_id contains one of these; newer backends use the second.
const REPLICA_USER_ID = /tavus-(replica|face)/i;

/**
 * The replica among the remote participants: by user_id, else by the persona's name (documented by Tavus as the name shown
 * in the call). Never "the first who joins" (Pipecat D9: a recorder or a human takes the slot then). Our own bots, whose
 * user data name this conversation, are never it even where a persona is called `Pipecat` too.
 */
export function findReplica(
  participants: Iterable<Participant>,
  personaName: string | undefined,
): Participant | undefined {
  const remote = [...participants].filter((participant) => !participant.local && !isBot(participant));
  return (
    remote.find((participant) => REPLICA_USER_ID.test(participant.userId ?? '')) ??
    remote.find((participant) => personaName !== undefined && participant.userName === personaName)
  );
}

/** Whether that is a bot of a fleet: they name their conversation in their user data. */
export function isBot({ userData }: Participant): boolean {
  return typeof userData === 'object' && userData !== null && 'conversationId' in userData && 'epoch' in userData;
}
