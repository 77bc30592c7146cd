using Microsoft.Extensions.Hosting;

namespace Mqtt5.Hosting;

// A host within the application's process: the signals belong to the application.
internal sealed class NoLifetime : IHostLifetime
{
    public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
