using Microsoft.AspNetCore.Connections;
using Mqtt5.Serving;

namespace Mqtt5.Hosting;

// The listener of the broker that a connection of Kestrel came to, as a feature of it.
internal sealed record ListenerFeature(Listener Listener)
{
    public static void Use(IConnectionBuilder listen, Listener listener)
    {
        var feature = new ListenerFeature(listener);
        listen.Use(next => connection =>
        {
            connection.Features.Set(feature);
            return next(connection);
        });
    }
}
