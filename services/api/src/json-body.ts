import { FleetError } from '@tavus-fleet/contracts';

/** Deeper than any document we know of, far from the depth at which a recursive check would end the stack. */
const MAX_DEPTH = 64;

/** Parses a JSON body. An empty one is undefined: clients send the content type with no body when they stop a conversation. */
export function parseJsonBody(text: string): unknown {
  if (text.trim() === '') return undefined;
  if (deeperThan(text, MAX_DEPTH)) throw new FleetError('invalid-json', `Nest at most ${MAX_DEPTH} levels.`);
  try {
    return JSON.parse(text, refusePrototype);
  } catch (error) {
    if (error instanceof FleetError) throw error;
    throw new FleetError('invalid-json', 'The body could not be read as JSON; check quotes, commas and encoding.', {
      cause: error,
    });
  }
}

// `__proto__` as an own key is harmless here and poison to the first part that copies it into another object.
function refusePrototype(key: string, value: unknown): unknown {
  if (key === '__proto__') throw new FleetError('invalid-json', 'The key `__proto__` is not accepted.');
  return value;
}

function deeperThan(text: string, limit: number): boolean {
  let depth = 0;
  let quoted = false;
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at];
    if (quoted) {
      if (char === '\\') at += 1;
      else if (char === '"') quoted = false;
    } else if (char === '"') quoted = true;
    else if (char === '{' || char === '[') {
      depth += 1;
      if (depth > limit) return true;
    } else if (char === '}' || char === ']') depth -= 1;
  }
  return false;
}
