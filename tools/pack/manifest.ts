/** What packing reads of a package.json; the rest is kept as it is. */
export interface Manifest {
  readonly name: string
  readonly exports: Readonly<Record<string, string | Entry>>
  readonly bin?: Readonly<Record<string, string>>
  readonly dependencies?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
  readonly files?: readonly string[]
}

interface Entry {
  readonly types: string
  readonly default: string
}

/** The package.json beside the built files, from the one beside the sources. */
export function toPublished({ devDependencies: _, ...manifest }: Manifest): Manifest {
  return {
    ...manifest,
    ...(manifest.bin && { bin: mapValues(manifest.bin, (path) => toBuilt(path, '.js')) }),
    exports: mapValues(manifest.exports, (path) => {
      if (typeof path !== 'string')
        throw new Error(
          `${manifest.name}: an export is one path below ./src, so that packing knows what is built from it`,
        )
      return { types: toBuilt(path, '.d.ts'), default: toBuilt(path, '.js') }
    }),
    files: ['**/*.js', '**/*.d.ts'],
  }
}

function toBuilt(path: string, ending: '.js' | '.d.ts'): string {
  if (!/^\.\/src\/.*\.ts$/.test(path)) throw new Error(`${path} is not built: only what lies below ./src is`)
  return path.replace('./src/', './').replace(/\.ts$/, ending)
}

function mapValues<From, To>(record: Readonly<Record<string, From>>, to: (value: From) => To): Record<string, To> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, to(value)]))
}
