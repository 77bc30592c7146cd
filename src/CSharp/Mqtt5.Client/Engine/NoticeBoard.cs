using System.Threading.Channels;
using Microsoft.Extensions.Logging;

namespace Mqtt5.Engine;

// Tells the application what happens to the connection: as a state that can be watched, and as events. Handlers run one
// after another in a task of their own.
internal sealed class NoticeBoard(ILogger logger)
{
    private readonly Channel<EventArgs> events = Channel.CreateUnbounded<EventArgs>(new UnboundedChannelOptions { SingleReader = true });
    private StateNode latest = new(new MqttConnectionState { Status = MqttConnectionStatus.Idle });
    private MqttConnectResult? result;
    private Task? telling;

    public event EventHandler<MqttDisconnectedEventArgs>? Disconnected;

    public event EventHandler<MqttReconnectingEventArgs>? Reconnecting;

    public event EventHandler<MqttReconnectedEventArgs>? Reconnected;

    public event EventHandler<MqttResubscribedEventArgs>? Resubscribed;

    public object? Sender { get; set; }

    public MqttConnectionState State => Volatile.Read(ref latest).State;

    // What the server answered to the last CONNECT that it accepted.
    public MqttConnectResult? Result => Volatile.Read(ref result);

    // Called under the gate of the engine.
    public void Tell(Notice notice)
    {
        switch (notice)
        {
            case Notice.Connecting connecting:
                Become(new MqttConnectionState { Status = MqttConnectionStatus.Connecting, Attempt = connecting.Attempt });

                if (connecting.Retry > 0)
                    Raise(new MqttReconnectingEventArgs(connecting.Retry));

                break;
            case Notice.Connected connected:
                Volatile.Write(ref result, new MqttConnectResult(connected.Connack));
                Telemetry.Connected();
                Become(new MqttConnectionState { Status = MqttConnectionStatus.Connected, Result = result });

                if (connected.Again)
                    Raise(new MqttReconnectedEventArgs(result!));

                break;
            case Notice.Reconnecting reconnecting:
                var delay = TimeSpan.FromMilliseconds(reconnecting.Delay);
                var lost = Failures.Of(reconnecting.Cause);
                Telemetry.Lost();
                Log.Lost(logger, lost?.Message, delay);
                Become(new MqttConnectionState { Status = MqttConnectionStatus.Waiting, Delay = delay, Cause = lost });
                Raise(new MqttDisconnectedEventArgs(lost, delay));
                break;
            case Notice.Closed closed:
                var cause = Failures.Of(closed.Cause);
                Log.Closed(logger, cause?.Message);
                Become(new MqttConnectionState { Status = MqttConnectionStatus.Closed, Cause = cause });
                Raise(new MqttDisconnectedEventArgs(cause, null));
                break;
            case Notice.Resubscribed resubscribed:
                Raise(new MqttResubscribedEventArgs(new MqttSubscribeResult(resubscribed.Filter.Text, resubscribed.Reason)));
                break;
        }
    }

    // The current state and all that follow, none left out.
    public async IAsyncEnumerable<MqttConnectionState> WatchAsync(
        [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var node = Volatile.Read(ref latest);

        while (true)
        {
            yield return node.State;

            if (await node.NextAsync(cancellationToken).ConfigureAwait(false) is not { } next)
                yield break;

            node = next;
        }
    }

    // No more is told; completes when all handlers have returned.
    public Task CompleteAsync()
    {
        events.Writer.TryComplete();
        Volatile.Read(ref latest).End();
        return telling ?? Task.CompletedTask;
    }

    private void Become(MqttConnectionState state)
    {
        var node = new StateNode(state);
        var before = latest;
        Volatile.Write(ref latest, node);
        before.Continue(node);
    }

    private void Raise(EventArgs args)
    {
        telling ??= Task.Run(TellAsync);
        events.Writer.TryWrite(args);
    }

    private async Task TellAsync()
    {
        await foreach (var args in events.Reader.ReadAllAsync().ConfigureAwait(false))
        {
            switch (args)
            {
                case MqttDisconnectedEventArgs disconnected:
                    Invoke(Disconnected, disconnected);
                    break;
                case MqttReconnectingEventArgs reconnecting:
                    Invoke(Reconnecting, reconnecting);
                    break;
                case MqttReconnectedEventArgs reconnected:
                    Invoke(Reconnected, reconnected);
                    break;
                case MqttResubscribedEventArgs resubscribed:
                    Invoke(Resubscribed, resubscribed);
                    break;
            }
        }
    }

    // One handler that throws keeps no other from being called.
    private void Invoke<T>(EventHandler<T>? handlers, T args)
    {
        foreach (var handler in Delegate.EnumerateInvocationList(handlers))
        {
            try
            {
                handler(Sender, args);
            }
            catch (Exception failure)
            {
                Log.HandlerFailed(logger, "an event", failure);
            }
        }
    }

    private sealed class StateNode(MqttConnectionState state)
    {
        private readonly TaskCompletionSource<StateNode?> next = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public MqttConnectionState State { get; } = state;

        public Task<StateNode?> NextAsync(CancellationToken cancellationToken) => next.Task.WaitAsync(cancellationToken);

        public void Continue(StateNode node) => next.TrySetResult(node);

        public void End() => next.TrySetResult(null);
    }
}
