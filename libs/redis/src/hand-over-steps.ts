/**
 * A hand-over in steps: who takes each, from where, and for how long it stands (ms, our choice). A step that is not followed in its
 * time makes the hand-over void: the owner goes on as before, and what the heir has prepared is closed again.
 *
 *     offered ─► claimed ─► ready ─► given ─► silent ─► shown
 *        └──────────┴─────────┴─► withdrawn (owner), declined (heir)
 */
export const handOverSteps = {
  /** Short, so that a dead owner's offers keep nobody busy; an owner that still wants to offers anew. */
  offered: { by: 'owner', from: [], standsMs: 5_000 },
  /** The heir opens a page, joins the rooms and waits for the replica's picture: two joins and a key frame. */
  claimed: { by: 'heir', from: ['offered'], standsMs: 20_000 },
  /** The owner waits for the end of an utterance, 5 s at most, and stops its track. */
  ready: { by: 'heir', from: ['claimed'], standsMs: 10_000 },
  /** The heir owns the conversation and publishes; the owner stays in the user room for so long, that there is a picture all the time. */
  given: { by: 'owner', from: ['ready'], standsMs: 8_000 },
  /** Nothing of the owner is heard in the user room any more: the heir's sound may come. */
  silent: { by: 'owner', from: ['given'], standsMs: 8_000 },
  shown: { by: 'heir', from: ['given', 'silent'], standsMs: 0 },
  withdrawn: { by: 'owner', from: ['offered', 'claimed', 'ready'], standsMs: 0 },
  declined: { by: 'heir', from: ['claimed', 'ready'], standsMs: 0 },
} as const satisfies Record<string, HandOverStepRule>;

type HandOverStepRule = { readonly by: 'owner' | 'heir'; readonly from: readonly string[]; readonly standsMs: number };
export type HandOverStep = keyof typeof handOverSteps;
