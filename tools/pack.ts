import { resolve } from 'node:path'
import { build, root } from './pack/build.ts'
import { tarball } from './pack/tarball.ts'

// Builds every package to JavaScript and declarations below dist/, and packs each into the folder that is named. Node
// does not strip types below node_modules, so this is what is published: node tools/pack.ts <folder>

const [folder] = process.argv.slice(2)
if (folder === undefined) {
  console.error('name the folder for the tarballs: npm run pack -- <folder>')
  process.exit(2)
}
for (const path of build(`${root}dist`)) console.log(tarball(path, resolve(folder)))
