import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { findExports } from './declarations.ts'

const files = new Map([
  [
    'one/src/index.d.ts',
    "export { open, type Options as Settings } from './deep/open.ts';\nexport * from './codes.ts';\nexport type { Clock } from '@atoll/host';\n",
  ],
  [
    'one/src/deep/open.d.ts',
    `import type { Code } from '../codes.ts';
interface Hidden {
    a: Code;
}
export interface Options extends Hidden {
    /** Not for the overview. */
    timeoutMs?: number;
    nested: {
        deep: string;
    };
}
/**
 * Opens it: see {@link Options}, or
 * 404. Refuses the rest.
 */
export declare function open(options: Options): void;
export declare function open(): void;
export {};
`,
  ],
  [
    'one/src/codes.d.ts',
    "export declare const codes: {\n    readonly GONE: {\n        readonly status: 410;\n        readonly remedy: 'Look elsewhere, or not.';\n        readonly kind: 'final';\n    };\n};\nexport type Code = keyof typeof codes;\n",
  ],
  ['one/src/wrong.d.ts', "export { missing } from './codes.ts';\n"],
  ['one/src/unnamed.d.ts', 'export default function (): void;\n'],
])

describe('declarations', () => {
  it('are found through the modules that hand them on, under the name they get', () => {
    assert.deepEqual(
      findExports('one/src/index.d.ts', files).map(({ name, from }) => (from ? `${from} ${name}` : name)),
      ['@atoll/host Clock', 'Code', 'Settings', 'codes', 'open', 'open'],
    )
  })

  it('are told in short: the first sentence, the code, not what members say nor how errors are worded', () => {
    const texts = findExports('one/src/index.d.ts', files).map(({ text }) => text)
    assert.equal(
      texts[2],
      '// Settings:\ninterface Options extends Hidden {\n  timeoutMs?: number\n  nested: {\n    deep: string\n  }\n}',
    )
    assert.equal(
      texts[3],
      "const codes: {\n  readonly GONE: {\n    readonly status: 410\n    readonly remedy: string\n    readonly kind: 'final'\n  }\n}",
    )
    assert.equal(texts[4], '// Opens it: see Options, or 404. Refuses the rest.\nfunction open(options: Options): void')
    assert.equal(texts[5], 'function open(): void')
  })

  it('that cannot be read are not passed over', () => {
    assert.throws(() => findExports('one/src/wrong.d.ts', files), /no declaration of missing/)
    assert.throws(() => findExports('one/src/unnamed.d.ts', files), /cannot read export default/)
    assert.throws(() => findExports('one/src/none.d.ts', files), /no declarations/)
  })
})
