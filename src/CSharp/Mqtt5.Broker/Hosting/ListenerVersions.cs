using Microsoft.AspNetCore.Connections;
using Mqtt5.Serving;

namespace Mqtt5.Hosting;

// The versions that a listener takes, as a feature of its connections where they are not those of the broker.
internal sealed record ListenerVersions(ProtocolVersions Versions)
{
    public static void Use(IConnectionBuilder listen, Listener listener)
    {
        if (listener.Versions is not { } versions)
            return;

        var feature = new ListenerVersions(versions);
        listen.Use(next => connection =>
        {
            connection.Features.Set(feature);
            return next(connection);
        });
    }
}
