from consul import Check
from consul.base import CB
from scenario import connect, raised, tell

client = connect()
agent = client.agent


def until_passing(count):
    """Waits until the catalog shows so many passing instances."""
    index, instances = client.health.service('py/web', passing=True)
    while len(instances) != count:
        index, instances = client.health.service('py/web', passing=True, index=index, wait='5s')
    return instances


results = {}
own = agent.self()
results['self'] = [own['Config']['NodeName'], own['Config']['Datacenter'], own['Member']['Name']]
results['members'] = [member['Name'] for member in agent.members()]
results['register'] = agent.service.register(
    'py/web', 'py/web/1', address='10.0.0.1', port=80, tags=['a', 'b'],
    check=Check.ttl('1h'), enable_tag_override=True)
service = agent.services()['py/web/1']
results['service'] = [service['Service'], service['Port'], service['Tags'], service['EnableTagOverride']]
results['before the first pass'] = agent.checks()['service:py/web/1']['Status']
# This version of the client asks with GET, which Consul refuses since 1.0: only PUT passes a check.
results['pass by GET'] = agent.check.ttl_pass('service:py/web/1')


def put(path, **params):
    return client.http.put(CB.bool(), path, params=params)


results['pass'] = put('/v1/agent/check/pass/service:py/web/1', note='all well')
check = agent.checks()['service:py/web/1']
results['passing'] = [check['Status'], check['Output'], check['ServiceID']]
results['instances'] = [one['Service']['ID'] for one in until_passing(1)]
results['maintenance'] = agent.service.maintenance('py/web/1', 'true', 'a reason')
results['in maintenance'] = agent.checks()['_service_maintenance:py/web/1']['Notes']
until_passing(0)
results['out of maintenance'] = agent.service.maintenance('py/web/1', 'false')
until_passing(1)
results['node maintenance'] = [agent.maintenance('true', 'x'), agent.maintenance('false')]
results['other check'] = agent.check.register('py-http', Check.http('http://127.0.0.1:1/', '1h', '1s', '90m'))
results['checks'] = sorted(agent.checks())
results['deregister'] = [put('/v1/agent/service/deregister/py/web/1'), put('/v1/agent/check/deregister/py-http')]
results['left'] = [agent.services(), agent.checks()]
until_passing(0)
results['unknown check'] = raised(lambda: put('/v1/agent/check/pass/nope')) is not None \
    or not put('/v1/agent/check/pass/nope')
results['bad service'] = raised(lambda: agent.service.register(''))
results['status'] = [client.status.leader() in client.status.peers(), len(client.status.peers())]
tell(results)
