namespace Mqtt5.Serving;

// What an effect left to do once no gate is held: a message to publish, or a task of the shell.
internal readonly struct Work(Session session, Connection? connection, ServerTask? task, Publish? publish, long token, Delivery? delivery = null)
{
    public Session Session => session;

    public Connection? Connection => connection;

    public ServerTask? Task => task;

    public Publish? Publish => publish;

    public long Token => token;

    public Delivery? Delivery => delivery;
}
