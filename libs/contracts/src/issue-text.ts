import type { z } from 'zod';

/** One bad field and what to do about it. */
export type FieldProblem = { readonly field: string; readonly message: string };
type Issue = z.core.$ZodIssue;

// A stranger's keys may be as many and as long as the body allows: the answer must not be.
const MAX_PROBLEMS = 100;
const MAX_NAME = 200;

/**
 * What zod found wrong, in the caller's words: every field by its full name, each with its remedy. `where` names the whole
 * (body, query) when no field can be blamed. No received value is repeated: it may be a secret.
 */
export function fieldProblems(issues: readonly Issue[], where: string): FieldProblem[] {
  const all = issues.flatMap((issue) => problemsOf(issue, [], where));
  const more = all.length - MAX_PROBLEMS;
  const told = all.slice(0, MAX_PROBLEMS).map(({ field, message }) => ({ field: field.slice(0, MAX_NAME), message }));
  return more > 0 ? [...told, { field: where, message: `has ${more} more problems` }] : told;
}

/** The first of them: where only one can be told. `where` as above. */
export function firstProblem(error: { readonly issues: readonly Issue[] }, where: string): FieldProblem {
  return fieldProblems(error.issues, where)[0] ?? { field: where, message: 'is malformed' };
}

function problemsOf(issue: Issue, above: readonly PropertyKey[], where: string): FieldProblem[] {
  const path = [...above, ...issue.path];
  const field = nameOf(path) || where;
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => ({
      field: nameOf([...path, key]),
      message: 'is not known here; remove it',
    }));
  if (issue.code === 'invalid_union') {
    // The branch that got furthest is the one that was meant: the one with the fewest complaints that are not about the type as a whole.
    const meant = issue.errors
      .filter((branch) => branch.some((inner) => inner.path.length > 0 || inner.code === 'custom'))
      .toSorted((a, b) => a.length - b.length)[0];
    if (meant) return meant.flatMap((inner) => problemsOf(inner, path, where));
  }
  return [{ field, message: remedy(issue) }];
}

/** A key may be the empty text: it is named so that it can be seen. */
function nameOf(path: readonly PropertyKey[]): string {
  return path.map((part) => (part === '' ? '""' : String(part))).join('.');
}

function remedy(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_type':
      return issue.message.endsWith('received undefined')
        ? `is required (${issue.expected})`
        : `must be ${article(issue.expected)}`;
    case 'too_big':
      return `must be ${issue.inclusive === false ? 'below' : 'at most'} ${issue.maximum}${unit(issue.origin)}`;
    case 'too_small':
      return `must be ${issue.inclusive === false ? 'above' : 'at least'} ${issue.minimum}${unit(issue.origin)}`;
    case 'invalid_value':
      return `must be ${issue.values.length === 1 ? '' : 'one of '}${issue.values.map(String).join(', ')}`;
    case 'invalid_format':
      return issue.format === 'regex' ? issue.message : `must be valid ${issue.format}`;
    case 'invalid_union':
      return issue.errors.length === 0 ? 'must be one of the documented types' : 'has none of the documented forms';
    default:
      return issue.message;
  }
}

function article(type: string): string {
  return type === 'int' ? 'a whole number' : `${/^[aeiou]/.test(type) ? 'an' : 'a'} ${type}`;
}

function unit(origin: string): string {
  if (origin === 'string') return ' characters long';
  return origin === 'array' || origin === 'set' ? ' entries long' : '';
}
