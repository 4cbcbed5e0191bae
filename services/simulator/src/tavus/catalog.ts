import { randomBytes } from 'node:crypto';
import type { Clock } from '@tavus-fleet/lifecycle';
import type { Hearing } from '../ports.ts';
import { microsecondTime } from './time.ts';
import { tavusErrors } from './errors.ts';
import { LIMITS } from './limits.ts';
import type { CreatePersona } from './requests.ts';

/** A persona as the simulator needs it; `hearing` is what its replica listens to. */
export type Persona = {
  readonly id: string;
  readonly name: string;
  readonly pipelineMode: 'full' | 'echo' | null;
  readonly hearing: Hearing;
  readonly systemPrompt: string | null;
  readonly defaultReplicaId: string | null;
  readonly createdAt: number;
};

const STOCK_DATE = Date.UTC(2025, 0, 1);
const DEFAULT_REPLICA_ID = 'r5f0577fc829';
const DEFAULT_PERSONA_ID = 'pdac61133ac5';

const stock = (
  id: string,
  name: string,
  hearing: Hearing,
  pipelineMode: Persona['pipelineMode'] = 'echo',
  defaultReplicaId: string | null = null,
): Persona => ({ id, name, hearing, pipelineMode, systemPrompt: null, defaultReplicaId, createdAt: STOCK_DATE });

/**
 * Ids are Tavus' (observed in Pipecat and LiveKit); the names are ours, and differ from the ids on purpose: the name is
 * what the replica calls itself in the room, and a client that takes the id for the name shall fail here already.
 */
const STOCK: readonly Persona[] = [
  stock('pipecat-stream', 'Pipecat Stream', 'stream'),
  stock('pipecat0', 'Pipecat Echo', 'echo'),
  stock('pb87e71797da', 'LiveKit Echo', 'echo'),
  stock(DEFAULT_PERSONA_ID, 'Simulated Persona', 'echo', 'full', DEFAULT_REPLICA_ID),
];

const STOCK_REPLICAS = [DEFAULT_REPLICA_ID, 'r79e1c033f', 'rb17cf590e15'] as const;

/** Any id is a replica's unless it looks like a persona's (`p` and letters or digits, or a stock name): that mix-up is the mistake most often reported. */
export const isReplicaId = (id: string): boolean => id !== '' && !/^(p[a-z0-9]*|pipecat.*)$/i.test(id);

/** Replicas and personas of the one account. Replicas are not made here: every well-formed id exists, trained. */
export class Catalog {
  readonly #clock: Clock;
  readonly #personas = new Map<string, Persona>(STOCK.map((persona) => [persona.id, persona]));
  readonly #made: string[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  personas(): readonly Persona[] {
    return [...this.#personas.values()];
  }

  persona(id: string): Persona | undefined {
    return this.#personas.get(id);
  }

  addPersona(request: CreatePersona): Persona {
    const replica = request.defaultReplica;
    if (replica !== undefined && !isReplicaId(replica.id)) throw tavusErrors.replicaId(replica.field);
    const persona: Persona = {
      id: `p${randomBytes(6).toString('hex').slice(0, 11)}`,
      name: request.name,
      pipelineMode: request.pipelineMode,
      hearing: request.microphone ? 'stream' : 'echo',
      systemPrompt: request.systemPrompt,
      defaultReplicaId: replica?.id ?? null,
      createdAt: this.#clock.now(),
    };
    this.#personas.set(persona.id, persona);
    this.#made.push(persona.id);
    if (this.#made.length > LIMITS.madePersonas) this.#personas.delete(this.#made.shift() ?? '');
    return persona;
  }

  /** Who speaks in a new conversation. Throws TavusError: unknown persona, or no replica from either side. */
  resolve(
    replica: { id: string; field: 'replica_id' | 'face_id' } | undefined,
    persona: { id: string; field: 'persona_id' | 'pal_id' } | undefined,
  ): { replicaId: string; persona: Persona } {
    const found = this.#personas.get(persona?.id ?? DEFAULT_PERSONA_ID);
    if (replica !== undefined && !isReplicaId(replica.id)) throw tavusErrors.replicaId(replica.field);
    if (found === undefined) throw tavusErrors.personaId(persona?.field ?? 'persona_id');
    const replicaId = replica?.id ?? found.defaultReplicaId;
    if (replicaId === null) throw tavusErrors.replicaId('replica_id');
    return { replicaId, persona: found };
  }
}

/** A flat object, as it is observed (the OpenAPI text shows `{data:[…]}`), under both name families. */
export const personaBody = (persona: Persona) => ({
  persona_id: persona.id,
  pal_id: persona.id,
  persona_name: persona.name,
  pal_name: persona.name,
  pipeline_mode: persona.pipelineMode,
  system_prompt: persona.systemPrompt,
  context: null,
  default_replica_id: persona.defaultReplicaId,
  default_face_id: persona.defaultReplicaId,
  layers: { transport: { input_settings: { microphone: persona.hearing === 'stream' ? 'enabled' : 'disabled' } } },
  created_at: microsecondTime(persona.createdAt),
  updated_at: microsecondTime(persona.createdAt),
});

export const replicaBody = (id: string) => ({
  replica_id: id,
  face_id: id,
  replica_name: `Replica ${id}`,
  face_name: `Replica ${id}`,
  status: 'completed',
  training_progress: '100/100',
  thumbnail_video_url: '',
  error_message: null,
  created_at: microsecondTime(STOCK_DATE),
  updated_at: microsecondTime(STOCK_DATE),
});

export const stockReplicas = (): readonly string[] => STOCK_REPLICAS;
