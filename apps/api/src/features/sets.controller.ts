import { Controller } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { SET_EXAMPLE } from './definition-examples';
import { definitionRoutes } from './definition-routes';

const Routes = definitionRoutes('set', {
  published:
    ', nor do the versions of its views; the name means it from now on. `?dry_run=true` checks, compares and writes nothing.',
  needed: 'a model needs',
  request: SET_EXAMPLE,
});

@ApiTags('Features')
@Controller('v1/features/sets')
export class SetsController extends Routes {}
