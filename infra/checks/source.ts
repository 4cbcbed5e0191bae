import { parseAst } from 'vite';

/** What the rules need to know of one source file. */
export interface Facts {
  readonly imports: readonly string[];
  /** Lines with `process.env.X`. */
  readonly envReads: readonly number[];
  /** Lines with `process.env` as a whole. */
  readonly envPasses: readonly number[];
  /** Lines with a call of a pausing function and a literal of at least `longMs`. */
  readonly longPauses: readonly number[];
}

interface Node {
  readonly type: string;
  readonly start: number;
  readonly [key: string]: unknown;
}

/** Parses TypeScript or JavaScript and collects the facts in one walk. `isPause` tells which calls wait. */
export function readSource(code: string, isPause: (name: string) => boolean, longMs: number): Facts {
  const imports = new Set<string>();
  const envReads: number[] = [];
  const envPasses: number[] = [];
  const longPauses: number[] = [];
  const lineOf = (node: Node): number => code.slice(0, node.start).split('\n').length;

  const visit = (node: Node, parent: Node | undefined): void => {
    const specifier = specifierOf(node);
    if (specifier !== undefined) imports.add(specifier);
    if (isProcessEnv(node)) {
      const isRead = parent?.type === 'MemberExpression' && parent['object'] === node;
      (isRead ? envReads : envPasses).push(lineOf(node));
    }
    if (node.type === 'CallExpression' && isPause(calleeName(node)) && longestLiteral(node) >= longMs)
      longPauses.push(lineOf(node));
    for (const child of childrenOf(node)) visit(child, node);
  };
  // The parser's node types are wider than ours: every node has type and start, the rest is looked at before use.
  visit(parseAst(code, { lang: 'ts' }) as unknown as Node, undefined);
  return { imports: [...imports], envReads, envPasses, longPauses };
}

function* childrenOf(node: Node): Generator<Node> {
  for (const value of Object.values(node)) {
    for (const item of Array.isArray(value) ? value : [value]) if (isNode(item)) yield item;
  }
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string';
}

/** Static imports, re-exports, dynamic imports and import types. */
function specifierOf(node: Node): string | undefined {
  const isImport = /^(Import|ExportNamed|ExportAll)Declaration$|^ImportExpression$|^TSImportType$/.test(node.type);
  const source = node['source'];
  return isImport && isNode(source) && typeof source['value'] === 'string' ? source['value'] : undefined;
}

function isProcessEnv(node: Node): boolean {
  const { object, property } = node;
  if (node.type !== 'MemberExpression' || !isNode(object) || !isNode(property)) return false;
  return object['name'] === 'process' && (property['name'] === 'env' || property['value'] === 'env');
}

function calleeName(call: Node): string {
  const callee = call['callee'];
  if (!isNode(callee)) return '';
  const named = callee.type === 'MemberExpression' && isNode(callee['property']) ? callee['property'] : callee;
  return typeof named['name'] === 'string' ? named['name'] : '';
}

function longestLiteral(call: Node): number {
  const values = Array.isArray(call['arguments']) ? call['arguments'] : [];
  return Math.max(
    0,
    ...values.map((value: unknown) => (isNode(value) && typeof value['value'] === 'number' ? value['value'] : 0)),
  );
}
