using Microsoft.Extensions.Hosting;

namespace Mqtt5.Hosting;

// A host within somebody else's process: its signals are not ours.
internal sealed class NoLifetime : IHostLifetime
{
    public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
