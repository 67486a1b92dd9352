import { Body, Controller, Get, Headers, Param, Post, Put, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { RecordChange } from '@sibyl/audit';
import type { Principal } from '@sibyl/auth';
import { ModelRegistry } from '@sibyl/registry';
import type { Response } from 'express';
import { Caller } from '../http/caller.decorator';
import { Endpoint } from '../http/endpoint.decorator';
import { Recorded } from '../http/record-change';
import { ReasonBody } from './model.dto';
import { policyOf, SetPolicyBody } from './policy.dto';
import { statusOfPolicy, toPolicyView } from './policy.view';
import { preconditionOf } from './precondition';

@ApiTags('Policies')
@Controller('v1/models/:name/policy')
export class PoliciesController {
  constructor(private readonly registry: ModelRegistry) {}

  @Get()
  @Endpoint({
    summary: 'Show what a model asks of its versions',
    access: 'models:read',
    action: 'model.read',
    model: 'name',
    answer: 'ModelPolicy',
    errors: ['model_not_found', 'database_unavailable'],
  })
  async find(
    @Param('name') name: string,
    @Res({ passthrough: true }) response: Response,
  ): Promise<Record<string, unknown>> {
    const found = await this.registry.policies.find(name);
    response.set('ETag', found.etag);
    return toPolicyView(found);
  }

  @Put()
  @Endpoint({
    summary: 'Set what a model asks of its versions',
    description:
      'Replaces the policy whole. `If-Match` with the ETag of the policy, or `If-None-Match: *` where none was set. The model need not exist yet. ' +
      'Where the policy in force asks for approvals, a weaker one (it asks for less, or names other promoters) is only proposed and needs as many: 202.',
    access: 'models:promote',
    action: 'policy.set',
    model: 'name',
    body: 'json',
    headers: { 'If-Match': 'ETag of the policy as you read it', 'If-None-Match': '`*` sets the first policy' },
    also: { 202: { same: 'The policy in force, and in `proposed` the weaker one that waits for approvals' } },
    request: { metrics: ['accuracy >= 0.7'], approvals: 1, reason: 'the rules of the model risk board' },
    answer: 'ModelPolicy',
    errors: ['policy_forbidden', 'etag_mismatch', 'precondition_required', 'database_unavailable'],
  })
  async set(
    @Caller() caller: Principal,
    @Param('name') model: string,
    @Body() body: SetPolicyBody,
    @Headers() headers: Record<string, string | undefined>,
    @Recorded() record: RecordChange,
    @Res({ passthrough: true }) response: Response,
  ): Promise<Record<string, unknown>> {
    const change = { model, policy: policyOf(body), reason: body.reason, ...preconditionOf(headers) };
    const set = await this.registry.setPolicy(caller.actor, change, record);
    response.status(statusOfPolicy(set)).set('ETag', set.etag);
    return toPolicyView(set);
  }

  @Post('approve')
  @Endpoint({
    summary: 'Approve the weaker policy that was proposed',
    description:
      'It is in force once as many persons approved it as the policy in force asks for, none of them who proposed it. `If-Match` with the ETag ' +
      'of the proposal (`proposed.etag`), so that what is approved is what was read.',
    access: 'models:promote',
    action: 'policy.approve',
    model: 'name',
    body: 'json',
    headers: { 'If-Match': 'ETag of the proposal as you read it' },
    request: { reason: 'agreed by the model risk board' },
    answer: 'ModelPolicy',
    errors: ['policy_forbidden', 'model_not_found', 'etag_mismatch', 'precondition_required', 'database_unavailable'],
  })
  async approve(
    @Caller() caller: Principal,
    @Param('name') model: string,
    @Body() body: ReasonBody,
    @Headers() headers: Record<string, string | undefined>,
    @Recorded() record: RecordChange,
    @Res({ passthrough: true }) response: Response,
  ): Promise<Record<string, unknown>> {
    const approval = { model, reason: body.reason, ...preconditionOf(headers) };
    const set = await this.registry.approvePolicy(caller.actor, approval, record);
    response.set('ETag', set.etag);
    return toPolicyView(set);
  }
}
