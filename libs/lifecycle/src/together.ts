/**
 * Runs several pieces of work side by side with one signal. When one fails the others are told to stop; resolves or rejects
 * only when all have settled, so that nothing still runs behind a failure. Rejects with the first failure.
 */
export async function together(
  signal: AbortSignal,
  work: readonly ((signal: AbortSignal) => Promise<void>)[],
): Promise<void> {
  const own = new AbortController();
  const all = AbortSignal.any([signal, own.signal]);
  let failed = false;
  let first: unknown;
  await Promise.all(
    work.map(async (piece) => {
      try {
        await piece(all);
      } catch (error) {
        if (failed) return;
        failed = true;
        first = error;
        own.abort(error);
      }
    }),
  );
  if (failed) throw first;
}
