using System.Collections.Concurrent;
using System.Security.Cryptography.X509Certificates;

namespace Mqtt5.Cli;

/// <summary>
/// Authenticates and authorizes clients by files that can be reloaded. Safe to use from many threads.
/// </summary>
/// <param name="state">The initial content of the files.</param>
internal sealed class BrokerAccess(AccessState state) : IMqttBrokerAuthenticator, IMqttBrokerAuthorizer
{
    private const int FewClients = 1_024;
    private const int MostAttempts = 20;
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    // The names of clients that may have a session at the broker.
    private readonly ConcurrentDictionary<string, (string? UserName, string? Listener)> clients = new(StringComparer.Ordinal);
    private AccessState current = state;
    private int mostClients = FewClients;

    /// <inheritdoc/>
    public ValueTask<MqttAuthenticationResult> AuthenticateAsync(MqttAuthenticationContext context, CancellationToken cancellationToken)
    {
        var now = Volatile.Read(ref current).Of(context.Listener);

        if (now.AllowsAnonymous && context.Method is null && (now.Passwords is null || context is { UserName: null, Password: null }))
            return new(MqttAuthenticationResult.Anonymous);

        if (now.IdentityIsUserName && context is { Method: null, ClientCertificate: { } certificate })
        {
            // The listener has verified it.
            return new(certificate.GetNameInfo(X509NameType.SimpleName, forIssuer: false) is { Length: > 0 } name
                ? MqttAuthenticationResult.AcceptedAs(name)
                : MqttAuthenticationResult.Refused());
        }

        return now.Passwords?.AuthenticateAsync(context, cancellationToken) ?? new(MqttAuthenticationResult.Refused());
    }

    /// <inheritdoc/>
    public IMqttPermissions Authorize(MqttClientIdentity client)
    {
        if (client.IsInProcess)
            return MqttPermissions.All;

        // Registered before the state is read, so that a concurrent reload either sees the client or is seen by it.
        clients[client.ClientId] = (client.UserName, client.Listener);
        var all = Volatile.Read(ref current);

        // Which listener it comes to is not known yet. Messages wait for it, and are judged when it does.
        if (client.IsAway && all.IsByListener)
            return MqttPermissions.All;

        var now = all.Of(client.Listener);

        if (!now.Knows(client.UserName))
            return NoPermissions.Instance;

        return now.Rules is { } rules ? rules.Authorize(client) : MqttPermissions.All;
    }

    /// <summary>Replaces the state; <see cref="FollowAsync"/> has to follow.</summary>
    /// <returns>The earlier one.</returns>
    public AccessState Replace(AccessState next) => Interlocked.Exchange(ref current, next);

    /// <summary>
    /// Does what follows from another state. Sessions of removed names end; clients whose password or rules changed are
    /// disconnected, and keep their sessions.
    /// </summary>
    /// <returns>How many sessions ended, and how many other clients were disconnected.</returns>
    public async Task<(int Ended, int Disconnected)> FollowAsync(AccessState earlier, AccessState next, MqttBroker broker)
    {
        var (ended, disconnected) = (0, 0);
        var gone = new List<string>();

        foreach (var (clientId, (userName, listener)) in clients)
        {
            if (!next.Of(listener).Knows(userName))
                gone.Add(clientId);
            else if (next.Of(listener).Changes(earlier.Of(listener), clientId, userName) && broker.Disconnect(clientId, ReasonCode.AdministrativeAction))
                disconnected++;
        }

        // A client admitted just before the reload may not have its session yet.
        for (var attempt = 0; gone.Count > 0 && attempt < MostAttempts; attempt++)
        {
            if (attempt > 0)
                await Task.Delay(Pause).ConfigureAwait(false);

            var before = gone.Count;
            gone.RemoveAll(clientId => broker.EndSession(clientId, ReasonCode.NotAuthorized));
            ended += before - gone.Count;

            if (attempt == 0)
                Forget(broker);

            gone.RemoveAll(clientId => !clients.TryGetValue(clientId, out var client) || next.Of(client.Listener).Knows(client.UserName));
        }

        return (ended, disconnected);
    }

    /// <summary>Removes clients whose sessions have ended, once there are many.</summary>
    public void Trim(MqttBroker broker)
    {
        if (clients.Count > mostClients)
            Forget(broker);
    }

    private void Forget(MqttBroker broker)
    {
        var before = clients.Keys.ToArray();
        var known = broker.Sessions.Select(session => session.ClientId).ToHashSet(StringComparer.Ordinal);

        foreach (var clientId in before.Where(clientId => !known.Contains(clientId)))
            clients.TryRemove(clientId, out _);

        mostClients = Math.Max(FewClients, 2 * clients.Count);
    }

    private sealed class NoPermissions : IMqttPermissions
    {
        public static readonly NoPermissions Instance = new();

        public bool MayPublish(TopicName topic) => false;

        public bool MaySubscribe(TopicFilter filter) => false;

        public bool MayReceive(TopicName topic) => false;
    }
}
