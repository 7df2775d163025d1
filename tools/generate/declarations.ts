import { posix } from 'node:path'

// Reads declarations as the compiler emits them: every statement begins at the start of a line, and nothing else looks
// like one there.

/** Texts of declaration files by path. */
export type Files = ReadonlyMap<string, string>

export interface Exported {
  readonly name: string
  /** The declaration in short: the first sentence of its comment, then its code without the comments of its members. */
  readonly text: string
  /** The package it comes from, if that is another one. Then there is no text. */
  readonly from?: string
}

/** What a module exports, by name; declarations of one name (overloads) follow each other in the order of the file. */
export function findExports(path: string, files: Files): Exported[] {
  const text = files.get(path)
  if (text === undefined) throw new Error(`no declarations were emitted at ${path}`)
  return statementsOf(text)
    .flatMap(({ comment, code }) => {
      const reexport = /^export (?:type )?(?:\{([^}]*)\}|\*) from ['"]([^'"]+)['"]/.exec(code)
      if (reexport) return followed(path, reexport[1], reexport[2]!, files)
      const declared =
        /^export (?:declare )?(?:abstract )?(?:const|let|function|class|interface|type|enum|namespace) ([\w$]+)/.exec(
          code,
        )
      if (declared) return [{ name: declared[1]!, text: inShort(comment, code) }]
      if (/^export(?! \{\};$)/.test(code))
        throw new Error(`${path}: cannot read ${code.split('\n')[0]}; export declarations by name`)
      return []
    })
    .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
}

/** What `export { names } from 'specifier'` exports; all if there are no names. */
function followed(path: string, names: string | undefined, specifier: string, files: Files): Exported[] {
  const wanted = names
    ?.split(',')
    .map((part) =>
      part
        .trim()
        .replace(/^type /, '')
        .split(' as '),
    )
    .filter(([name]) => name !== '')
    .map(([name, alias]) => ({ name: name!, alias: alias ?? name! }))
  if (!specifier.startsWith('.'))
    return (wanted ?? [{ alias: '*' }]).map(({ alias }) => ({ name: alias, text: '', from: specifier }))
  const target = posix.join(posix.dirname(path), specifier.replace(/\.[jt]s$/, '.d.ts'))
  const exported = findExports(target, files)
  return (
    wanted?.flatMap(({ name, alias }) => {
      const found = exported.filter((one) => one.name === name)
      if (found.length === 0) throw new Error(`${path}: ${target} has no declaration of ${name}`)
      return found.map((one) => ({
        ...one,
        name: alias,
        text: alias === name ? one.text : `// ${alias}:\n${one.text}`,
      }))
    }) ?? exported
  )
}

interface Statement {
  readonly comment: string
  readonly code: string
}

function statementsOf(text: string): Statement[] {
  return text
    .split(/^(?=\/\*\*|(?:export|import|declare|type|interface)\b)/m)
    .reduce<Statement[]>((statements, part) => {
      const [comment = ''] = /^\/\*\*[\s\S]*?\*\/\n?/.exec(part) ?? []
      const before = statements.at(-1)
      const code = part.slice(comment.length).trimEnd()
      // A comment is a part of its own, for the statement after it begins a line.
      if (before?.code === '' && comment === '') statements[statements.length - 1] = { ...before, code }
      else statements.push({ comment, code })
      return statements
    }, [])
}

/** Sentences as types (the remedies of errors) become `string`: to reword one changes nothing for a caller. */
function inShort(comment: string, code: string): string {
  const [sentence] =
    /^.*?\D\.(?=\s|$)|^.+/.exec(
      comment
        .replaceAll(/^\s*\/\*\*|\*\/\s*$|^\s*\* ?/gm, ' ')
        .replaceAll(/\s+/g, ' ')
        .trim(),
    ) ?? []
  const lines = code
    .replaceAll(/^\s*\/\*\*[\s\S]*?\*\/\n/gm, '')
    .replace(/^export (?:declare )?/, '')
    .split('\n')
    .map((line) =>
      line
        .replace(/^ +/, (indent) => ' '.repeat(indent.length / 2))
        .replace(/;$/, '')
        .replace(/^( *readonly \w+: )(['"]).* .*\2$/, '$1string')
        .replace(/, \}(?=[:,)])/g, ' }'),
    )
  return [...(sentence ? [`// ${sentence.replaceAll(/\{@link ([^}]+)\}/g, '$1')}`] : []), ...lines].join('\n')
}
