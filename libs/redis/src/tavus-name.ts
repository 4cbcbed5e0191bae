/** What the name of a Tavus conversation of ours says. */
export type TavusName = {
  readonly base: string;
  readonly fleetId: string;
  readonly conversationId: string;
  readonly epoch: number;
  readonly attempt: number;
};

const tag =
  /^(?:(?<base>.*) )?\[tf:(?<fleetId>[^:\]]+):(?<id>[A-Za-z0-9_-]{1,64}):(?<epoch>\d{1,9})\.(?<attempt>\d{1,9})\]$/su;
const MAX_BASE = 40;

/**
 * The `conversation_name` we give Tavus: `<base, at most 40 characters> [tf:<FLEET_ID>:<conversationId>:<epoch>.<attempt>]`.
 * The tag at the end is the only thing by which the reaper knows a conversation as ours.
 */
export function tavusName(name: TavusName): string {
  const base = Array.from(name.base).slice(0, MAX_BASE).join('').trim();
  const ours = `[tf:${name.fleetId}:${name.conversationId}:${name.epoch}.${name.attempt}]`;
  return base === '' ? ours : `${base} ${ours}`;
}

/** Reads a name back; undefined when it is not one of a fleet's. The caller compares `fleetId` with its own before it ends anything. */
export function parseTavusName(text: string): TavusName | undefined {
  const groups = tag.exec(text)?.groups;
  const { base = '', fleetId, id, epoch, attempt } = groups ?? {};
  if (fleetId === undefined || id === undefined || epoch === undefined || attempt === undefined) return undefined;
  return { base, fleetId, conversationId: id, epoch: Number(epoch), attempt: Number(attempt) };
}
