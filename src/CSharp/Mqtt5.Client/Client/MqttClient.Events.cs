namespace Mqtt5;

public sealed partial class MqttClient
{
    /// <summary>A connection was lost, ended, or could not be opened again. Handlers run one after another, off the network.</summary>
    public event EventHandler<MqttDisconnectedEventArgs> Disconnected
    {
        add => notices.Disconnected += value;
        remove => notices.Disconnected -= value;
    }

    /// <summary>An attempt to connect again begins.</summary>
    public event EventHandler<MqttReconnectingEventArgs> Reconnecting
    {
        add => notices.Reconnecting += value;
        remove => notices.Reconnecting -= value;
    }

    /// <summary>The connection is open again.</summary>
    public event EventHandler<MqttReconnectedEventArgs> Reconnected
    {
        add => notices.Reconnected += value;
        remove => notices.Reconnected -= value;
    }

    /// <summary>The server had lost the session, and a filter was subscribed to again.</summary>
    public event EventHandler<MqttResubscribedEventArgs> Resubscribed
    {
        add => notices.Resubscribed += value;
        remove => notices.Resubscribed -= value;
    }

    /// <summary>Where the connection stands now.</summary>
    public MqttConnectionState State
    {
        get
        {
            // A call that has settled may go on before the rest of the step that ended the connection.
            lock (engine.Gate)
                return notices.State;
        }
    }

    /// <summary>Where the connection stands now, and then each change, none left out. Ends when the client is disposed.</summary>
    /// <param name="cancellationToken">Ends the loop.</param>
    /// <returns>The states.</returns>
    public IAsyncEnumerable<MqttConnectionState> States(CancellationToken cancellationToken = default) =>
        notices.WatchAsync(cancellationToken);
}
