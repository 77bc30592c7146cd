using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Mqtt5;

// Whether the client is connected now; it reconnects by itself.
internal sealed class ClientHealthCheck(MqttClient client) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        var state = client.State;
        return Task.FromResult(state.Status is MqttConnectionStatus.Connected
            ? HealthCheckResult.Healthy("the client is connected")
            : new HealthCheckResult(context.Registration.FailureStatus, $"the client is not connected: {state.Status}", state.Cause));
    }
}
