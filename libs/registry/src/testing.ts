export { aModelVersion, aReport } from './testing/a-model-version';
export { packageFolder, type PackageParts } from './testing/package-folder';
