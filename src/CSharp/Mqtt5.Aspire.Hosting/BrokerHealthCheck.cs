using Aspire.Hosting.ApplicationModel;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Mqtt5;

namespace Aspire.Hosting;

// Whether the broker answers a CONNECT. One that refuses it answers as well: this check has no name to give.
internal sealed class BrokerHealthCheck(EndpointReference endpoint) : IHealthCheck
{
    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        if (!endpoint.IsAllocated)
            return HealthCheckResult.Unhealthy("the broker has no endpoint yet");

        var options = MqttClientOptions.For(new UriBuilder("mqtt", endpoint.Host, endpoint.Port).Uri);
        options.Reconnect = null;
        options.SessionExpiry = TimeSpan.Zero;

        try
        {
            var client = await MqttClient.ConnectAsync(options, cancellationToken).ConfigureAwait(false);
            await client.DisposeAsync().ConfigureAwait(false);
            return HealthCheckResult.Healthy("the broker answers");
        }
        catch (MqttConnectException refusal) when (refusal.Result is not null)
        {
            return HealthCheckResult.Healthy("the broker answers, and wants to know its clients");
        }
        catch (MqttConnectException failure)
        {
            return HealthCheckResult.Unhealthy("the broker does not answer", failure);
        }
    }
}
