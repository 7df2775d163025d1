export { default } from 'conduit/src/system.ts'
