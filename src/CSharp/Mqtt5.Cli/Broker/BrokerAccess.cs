using System.Collections.Concurrent;

namespace Mqtt5.Cli;

/// <summary>
/// Lets clients in as files say, and as other files say once they are read again. Safe to use from many threads.
/// </summary>
/// <param name="state">What the files say at first.</param>
internal sealed class BrokerAccess(AccessState state) : IMqttBrokerAuthenticator, IMqttBrokerAuthorizer
{
    private const int FewClients = 1_024;
    private const int MostAttempts = 20;
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    // The names of the clients whose sessions the broker may have.
    private readonly ConcurrentDictionary<string, string?> clients = new(StringComparer.Ordinal);
    private AccessState current = state;
    private volatile bool hasChanged;
    private int mostClients = FewClients;

    /// <inheritdoc/>
    public ValueTask<MqttAuthenticationResult> AuthenticateAsync(MqttAuthenticationContext context, CancellationToken cancellationToken) =>
        Volatile.Read(ref current).Passwords!.AuthenticateAsync(context, cancellationToken);

    /// <inheritdoc/>
    public IMqttPermissions Authorize(MqttClientIdentity client)
    {
        if (client.IsInProcess)
            return MqttPermissions.All;

        // Before the state is read, so that a change of it finds the client, or the client finds the change.
        clients[client.ClientId] = client.UserName;
        var now = Volatile.Read(ref current);

        if (!now.Knows(client.UserName))
            return NoPermissions.Instance;

        if (now.Rules is not { } rules)
            return MqttPermissions.All;

        // The subscriptions of its session may be older than the rules.
        var permissions = rules.Authorize(client);
        return hasChanged ? new StrictPermissions(permissions) : permissions;
    }

    /// <summary>
    /// Takes another state. The sessions of names that are gone end; clients whose password or rules are others are
    /// disconnected, and keep their sessions.
    /// </summary>
    /// <returns>How many sessions ended, and how many other clients were disconnected.</returns>
    public async Task<(int Ended, int Disconnected)> ChangeAsync(AccessState next, MqttBroker broker)
    {
        var earlier = Volatile.Read(ref current);
        hasChanged = true;
        Volatile.Write(ref current, next);
        var (ended, disconnected) = (0, 0);
        var gone = new List<string>();

        foreach (var (clientId, userName) in clients)
        {
            if (!next.Knows(userName))
                gone.Add(clientId);
            else if (next.Changes(earlier, clientId, userName) && broker.Disconnect(clientId, ReasonCode.AdministrativeAction))
                disconnected++;
        }

        // One that was let in a moment ago may get its session only now.
        for (var attempt = 0; gone.Count > 0 && attempt < MostAttempts; attempt++)
        {
            if (attempt > 0)
                await Task.Delay(Pause).ConfigureAwait(false);

            var before = gone.Count;
            gone.RemoveAll(clientId => broker.EndSession(clientId, ReasonCode.NotAuthorized));
            ended += before - gone.Count;

            if (attempt == 0)
                Forget(broker);

            gone.RemoveAll(clientId => !clients.TryGetValue(clientId, out var userName) || next.Knows(userName));
        }

        return (ended, disconnected);
    }

    /// <summary>Forgets clients whose sessions have ended, once there are many.</summary>
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

    // Asks for each topic whether the client might subscribe to it now.
    private sealed class StrictPermissions(IMqttPermissions permissions) : IMqttPermissions
    {
        public bool MayPublish(TopicName topic) => permissions.MayPublish(topic);

        public bool MaySubscribe(TopicFilter filter) => permissions.MaySubscribe(filter);

        public bool MayReceive(TopicName topic) => permissions.MayReceive(topic) && permissions.MaySubscribe(TopicFilter.Of(topic.Text));
    }
}
