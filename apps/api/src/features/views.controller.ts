import { Controller } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { VIEW_EXAMPLE } from './definition-examples';
import { definitionRoutes } from './definition-routes';

const Routes = definitionRoutes('view', {
  published:
    '; the name means it from now on. `?dry_run=true` checks, compares and writes nothing. Streams that have events keep the order and types of their fields; new fields come after them.',
  needed: 'a set or another view needs',
  request: VIEW_EXAMPLE,
});

@ApiTags('Features')
@Controller('v1/features/views')
export class ViewsController extends Routes {}
