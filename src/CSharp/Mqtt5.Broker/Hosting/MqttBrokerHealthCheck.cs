using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Mqtt5.Hosting;

internal sealed class MqttBrokerHealthCheck(MqttBroker broker) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        var data = new Dictionary<string, object>
        {
            ["connections"] = broker.ConnectionCount,
            ["sessions"] = broker.Engine.Registry.Current.SessionCount,
        };
        return Task.FromResult(broker.IsRunning
            ? HealthCheckResult.Healthy("the broker runs", data)
            : HealthCheckResult.Unhealthy(broker.Engine.StoreStatus ?? "the broker does not run", data: data));
    }
}
